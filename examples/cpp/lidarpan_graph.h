/* What the exported network takes of a scan, and what its answer says of the points: a library
   that C can call. It computes what lidarpan/voxels, lidarpan/export/tables.py and the patches of
   lidarpan/voxels/patches.py do; tests/export/test_cpp.py holds the two together. */
#ifndef LIDARPAN_GRAPH_H
#define LIDARPAN_GRAPH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From the metadata of the exported file: grid_min_m, grid_cell_m, grid_shape, num_levels, and
   whether intensity is "rank". */
typedef struct {
    double min_m[3];
    double cell_m[3];
    int32_t shape[3];
    int32_t num_levels;
    int32_t rank_intensity;
} lidarpan_grid;

/* One input of the network: rows x columns of float (the first input, the features) or of int32
   (the tables, in the order of lidarpan.export.tables.table_names). */
typedef struct {
    const void *data;
    int64_t rows, columns;
    int32_t is_float;
} lidarpan_input;

typedef struct lidarpan_scan lidarpan_scan;

/* Voxels, features and tables of num_points rows x y z intensity: metres in the sensor frame,
   x forward, y left, z up, as if the sensor stood as high as the weights expect (sensor_height_m);
   intensity in [0, 1]. NULL where no point lies in the grid. */
lidarpan_scan *lidarpan_prepare(const float *points, int64_t num_points, const lidarpan_grid *grid);

int32_t lidarpan_num_inputs(const lidarpan_scan *scan);
lidarpan_input lidarpan_get_input(const lidarpan_scan *scan, int32_t index);

/* The train id of each point, 0 = outside the grid: the likeliest class of its voxel, with
   probabilities (V x num_classes, void left out) averaged over patches of a surface, the ground
   told from the rest by the train ids `ground`. Without any, num_ground = 0, voxels stay alone. */
void lidarpan_label(const lidarpan_scan *scan, const float *probabilities, int32_t num_classes,
                    const int32_t *ground, int32_t num_ground, uint8_t *semantic);

void lidarpan_free(lidarpan_scan *scan);

#ifdef __cplusplus
}
#endif
#endif
