#include "lidarpan_graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <vector>

namespace {

using Cell = std::array<int32_t, 3>;
using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;
constexpr int kFeatures = 13;
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kAgree = 1.0f; /* metres by which lowest voxels of cells side by side may differ */

struct Table {
    Ints rows;
    int64_t columns;
};

/* Cells of one level, ascending, and the first row of each (x, y) column. */
struct Level {
    std::vector<Cell> cells;
    Cell shape;
    Ints starts;

    Level(std::vector<Cell> cells_, Cell shape_) : cells(std::move(cells_)), shape(shape_) {
        starts.assign(int64_t(shape[0]) * shape[1] + 1, 0);
        for (const Cell &c : cells) starts[int64_t(c[0]) * shape[1] + c[1] + 1]++;
        std::partial_sum(starts.begin(), starts.end(), starts.begin());
    }

    int32_t find(int32_t x, int32_t y, int32_t z) const {
        if (x < 0 || y < 0 || x >= shape[0] || y >= shape[1]) return -1;
        int64_t column = int64_t(x) * shape[1] + y;
        for (int32_t row = starts[column]; row < starts[column + 1]; row++)
            if (cells[row][2] == z) return row;
        return -1;
    }
};

/* Row of `source` under each place of a kernel at cell * stride - padding, else their number. */
Table rows_under(const Level &source, const Level &target, Cell kernel, int stride) {
    Table table{{}, int64_t(kernel[0]) * kernel[1] * kernel[2]};
    table.rows.reserve(target.cells.size() * table.columns);
    Cell padding = stride == 1 ? Cell{kernel[0] / 2, kernel[1] / 2, kernel[2] / 2} : Cell{0, 0, 0};
    for (const Cell &c : target.cells)
        for (int i = 0; i < kernel[0]; i++)
            for (int j = 0; j < kernel[1]; j++)
                for (int k = 0; k < kernel[2]; k++) {
                    int32_t row = source.find(c[0] * stride - padding[0] + i,
                                              c[1] * stride - padding[1] + j,
                                              c[2] * stride - padding[2] + k);
                    table.rows.push_back(row < 0 ? int32_t(source.cells.size()) : row);
                }
    return table;
}

/* Every cell divided by `stride`, once, ascending. */
Level coarser(const Level &fine, Cell stride) {
    std::vector<Cell> cells;
    for (const Cell &c : fine.cells) cells.push_back({c[0] / stride[0], c[1] / stride[1], c[2] / stride[2]});
    std::sort(cells.begin(), cells.end());
    cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
    Cell shape;
    for (int a = 0; a < 3; a++) shape[a] = (fine.shape[a] + stride[a] - 1) / stride[a];
    return Level(std::move(cells), shape);
}

/* 8 * row + place of each finer voxel in its coarser one. */
Table turned(const Table &down, size_t num_fine) {
    Table up{Ints(num_fine), 1};
    for (size_t place = 0; place < down.rows.size(); place++)
        if (down.rows[place] < int32_t(num_fine)) up.rows[down.rows[place]] = int32_t(place);
    return up;
}

/* Quantiles 0, 1/32, ... 1 of the reference's intensity: lidarpan/voxels/intensity.py. */
constexpr float kReference[33] = {0.000f, 0.058f, 0.102f, 0.133f, 0.158f, 0.176f, 0.194f, 0.209f, 0.222f,
                                  0.234f, 0.246f, 0.257f, 0.266f, 0.276f, 0.286f, 0.295f, 0.306f, 0.316f,
                                  0.324f, 0.334f, 0.346f, 0.356f, 0.367f, 0.378f, 0.389f, 0.404f, 0.416f,
                                  0.432f, 0.451f, 0.474f, 0.502f, 0.547f, 0.926f};

/* The brightness at each point's rank among the scan's intensities, points weighed by range. */
Floats rank_brightness(const float *points, int64_t n) {
    std::vector<int64_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return points[4 * a + 3] < points[4 * b + 3]; });
    std::vector<int64_t> first;
    std::vector<double> mass;
    for (int64_t i = 0; i < n; i++) {
        const float *p = points + 4 * order[i];
        if (i == 0 || p[3] != points[4 * order[i - 1] + 3]) {
            first.push_back(i);
            mass.push_back(0);
        }
        float range = std::hypot(p[0], p[1]);
        mass.back() += range > 1.0f ? std::clamp(range, 2.0f, 50.0f) : 0.0f;
    }
    double total = std::accumulate(mass.begin(), mass.end(), 0.0), below = 0;
    Floats bright(n, 0.0f);
    if (total == 0 || *std::max_element(mass.begin(), mass.end()) > 0.9 * total) return bright;
    first.push_back(n);
    for (size_t g = 0; g < mass.size(); g++) {
        below += mass[g];
        double place = std::clamp((below - mass[g] / 2) / total * 32, 0.0, 32.0);
        int low = std::min(int(place), 31);
        double value = kReference[low] + (place - low) * (double(kReference[low + 1]) - kReference[low]);
        for (int64_t i = first[g]; i < first[g + 1]; i++) bright[order[i]] = float(value);
    }
    return bright;
}

/* Cells of about cell_m metres: voxels along an edge, cells along x and y. */
Cell raster(const lidarpan_grid &grid, double cell_m) {
    int stride = std::max(1, int(std::nearbyint(cell_m / grid.cell_m[0])));
    return {stride, (grid.shape[0] + stride - 1) / stride, (grid.shape[1] + stride - 1) / stride};
}

/* The ground that the lowest voxels of 3 x 3 raster cells agree on, around each voxel. */
Floats lowest_around(const std::vector<Cell> &cells, const Floats &height, Cell size) {
    Floats low(int64_t(size[1]) * size[2], kInf), found(cells.size());
    auto place = [&](const Cell &c) { return int64_t(c[0] / size[0]) * size[2] + c[1] / size[0]; };
    for (size_t v = 0; v < cells.size(); v++) low[place(cells[v])] = std::min(low[place(cells[v])], height[v]);
    for (size_t v = 0; v < cells.size(); v++) {
        int x = cells[v][0] / size[0], y = cells[v][1] / size[0];
        Floats near;
        for (int i = std::max(x - 1, 0); i <= std::min(x + 1, size[1] - 1); i++)
            for (int j = std::max(y - 1, 0); j <= std::min(y + 1, size[2] - 1); j++) {
                float value = low[int64_t(i) * size[2] + j];
                if (std::isfinite(value)) near.push_back(value);
            }
        std::sort(near.begin(), near.end());
        found[v] = near[std::min<size_t>(1, near.size() - 1)];
        for (size_t k = 1; k < near.size(); k++)
            if (near[k] - near[k - 1] <= kAgree) {
                found[v] = near[k];
                break;
            }
    }
    return found;
}

}  // namespace

struct lidarpan_scan {
    lidarpan_grid grid;
    std::vector<Cell> cells;
    Ints point_to_voxel;
    Floats height, features;
    std::vector<Table> tables;

    bool voxelize(const float *points, int64_t n) {
        std::vector<std::pair<Cell, int64_t>> inside;
        for (int64_t i = 0; i < n; i++) {
            Cell c;
            bool fits = true;
            for (int a = 0; a < 3; a++) {
                float place = std::floor((points[4 * i + a] - float(grid.min_m[a])) / float(grid.cell_m[a]));
                fits = fits && place >= 0 && place < grid.shape[a];
                c[a] = fits ? int32_t(place) : 0;
            }
            if (fits) inside.push_back({c, i});
        }
        std::sort(inside.begin(), inside.end());
        point_to_voxel.assign(n, -1);
        for (const auto &[cell, point] : inside) {
            if (cells.empty() || cell != cells.back()) cells.push_back(cell);
            point_to_voxel[point] = int32_t(cells.size()) - 1;
        }
        return !cells.empty();
    }

    void describe(const float *points, int64_t n) {
        Floats bright(n);
        for (int64_t i = 0; i < n; i++) bright[i] = points[4 * i + 3];
        if (grid.rank_intensity) bright = rank_brightness(points, n);
        size_t num = cells.size();
        std::vector<std::array<double, 5>> mean(num, {0, 0, 0, 0, 0});
        std::vector<double> count(num, 0);
        for (int64_t i = 0; i < n; i++)
            if (int v = point_to_voxel[i]; v >= 0) {
                for (int a = 0; a < 3; a++) mean[v][a] += points[4 * i + a];
                mean[v][3] += bright[i];
                count[v]++;
            }
        for (size_t v = 0; v < num; v++)
            for (int a = 0; a < 4; a++) mean[v][a] /= count[v];
        for (int64_t i = 0; i < n; i++)
            if (int v = point_to_voxel[i]; v >= 0)
                mean[v][4] += std::pow(points[4 * i + 2] - mean[v][2], 2) / count[v];
        height.resize(num);
        for (size_t v = 0; v < num; v++) height[v] = float(mean[v][2]);
        Floats near = lowest_around(cells, height, raster(grid, 1.2));
        Floats far = lowest_around(cells, height, raster(grid, 4.8));
        Floats reach(num), close;
        Cell size = raster(grid, 0.6);
        std::vector<std::array<double, 6>> sums(int64_t(size[1] + 2) * (size[2] + 2), {0, 0, 0, 0, 0, 0});
        for (size_t v = 0; v < num; v++) {
            float step = height[v] - near[v], b = float(mean[v][3]), var = float(mean[v][4]), m = float(count[v]);
            reach[v] = std::hypot(float(mean[v][0]), float(mean[v][1]));
            if (!(step < 0.25f)) continue;
            if (reach[v] < 20.0f) close.push_back(b);
            auto &sum = sums[int64_t(cells[v][0] / size[0] + 1) * (size[2] + 2) + cells[v][1] / size[0] + 1];
            const double values[6] = {1, step, step * step, m, m * b, m * var};
            for (int k = 0; k < 6; k++) sum[k] += values[k];
        }
        std::sort(close.begin(), close.end());
        size_t half = close.size() / 2;
        double usual = close.empty() ? 0 : close.size() % 2 ? close[half] : (close[half - 1] + close[half]) / 2;
        features.resize(num * kFeatures);
        for (size_t v = 0; v < num; v++) {
            std::array<double, 6> s{0, 0, 0, 0, 0, 0};
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++)
                    for (int k = 0; k < 6; k++)
                        s[k] += sums[int64_t(cells[v][0] / size[0] + i) * (size[2] + 2) + cells[v][1] / size[0] + j][k];
            bool has_ground = s[0] > 0;
            double light = has_ground ? s[4] / s[3] : usual;
            float *f = &features[v * kFeatures];
            for (int a = 0; a < 3; a++) {
                float cell = float(grid.cell_m[a]);
                float middle = (cells[v][a] + 0.5f) * cell + float(grid.min_m[a]);
                f[a] = (float(mean[v][a]) - middle) / (cell / 2);
            }
            f[3] = height[v] / 3;
            f[4] = reach[v] / 50;
            f[5] = float(mean[v][3]);
            f[6] = std::log1p(float(count[v])) / 3;
            f[7] = std::sqrt(float(mean[v][4])) / (float(grid.cell_m[2]) / 2);
            f[8] = std::clamp((height[v] - near[v]) / 0.3f, -1.0f, 3.0f);
            f[9] = (height[v] - far[v]) / 3;
            f[10] = usual > 0 ? float(std::clamp(light / usual - 1, -1.0, 2.0)) : 0.0f;
            f[11] = has_ground ? float(std::min(std::sqrt(s[5] / s[3]) / 0.02, 3.0)) : 0.0f;
            double spread = has_ground ? s[2] / s[0] - std::pow(s[1] / s[0], 2) : 0;
            f[12] = float(std::min(std::sqrt(std::max(spread, 0.0)) / 0.1, 3.0));
        }
    }

    void list_neighbours() {
        std::vector<Level> levels{Level(cells, {grid.shape[0], grid.shape[1], grid.shape[2]})};
        std::vector<Table> down, up;
        for (int level = 1; level < grid.num_levels; level++) {
            levels.push_back(coarser(levels.back(), {2, 2, 2}));
            down.push_back(rows_under(levels[level - 1], levels[level], {2, 2, 2}, 2));
            up.push_back(turned(down.back(), levels[level - 1].cells.size()));
        }
        for (const Level &level : levels) tables.push_back(rows_under(level, level, {3, 3, 3}, 1));
        tables.insert(tables.end(), down.begin(), down.end());
        tables.insert(tables.end(), up.begin(), up.end());
        Level columns = coarser(levels[1], {1, 1, levels[1].shape[2]});
        tables.push_back(rows_under(columns, columns, {5, 5, 1}, 1));
        for (int level : {0, 1}) {
            Table table{{}, 1};
            for (const Cell &c : levels[level].cells)
                table.rows.push_back(columns.find(c[0] >> (1 - level), c[1] >> (1 - level), 0));
            tables.push_back(std::move(table));
        }
    }

    /* A number for each voxel, equal where they lie on one patch of a surface. */
    std::vector<std::tuple<int, int, int, bool>> patches(const std::vector<bool> &is_ground) const {
        int sx = raster(grid, 0.6)[0], sy = std::max(1, int(std::nearbyint(0.6 / grid.cell_m[1])));
        int layer = std::max(1, int(std::nearbyint(0.3 / grid.cell_m[2])));
        std::map<std::pair<int, int>, float> low;
        for (size_t v = 0; v < cells.size(); v++)
            if (is_ground[v]) {
                auto [at, _] = low.insert({{cells[v][0] / sx, cells[v][1] / sy}, height[v]});
                at->second = std::min(at->second, height[v]);
            }
        std::vector<std::tuple<int, int, int, bool>> patch(cells.size());
        for (size_t v = 0; v < cells.size(); v++) {
            int x = cells[v][0] / sx, y = cells[v][1] / sy, level = cells[v][2] / layer;
            if (is_ground[v]) level = std::min(int(std::floor((height[v] - low[{x, y}]) / 0.06)), 4095);
            patch[v] = {x, y, level, is_ground[v]};
        }
        return patch;
    }
};

extern "C" {

lidarpan_scan *lidarpan_prepare(const float *points, int64_t num_points, const lidarpan_grid *grid) {
    auto scan = new lidarpan_scan{*grid, {}, {}, {}, {}, {}};
    if (!scan->voxelize(points, num_points)) {
        delete scan;
        return nullptr;
    }
    scan->describe(points, num_points);
    scan->list_neighbours();
    return scan;
}

int32_t lidarpan_num_inputs(const lidarpan_scan *scan) { return int32_t(scan->tables.size()) + 1; }

lidarpan_input lidarpan_get_input(const lidarpan_scan *scan, int32_t index) {
    if (index == 0) return {scan->features.data(), int64_t(scan->cells.size()), kFeatures, 1};
    const Table &table = scan->tables[index - 1];
    return {table.rows.data(), int64_t(table.rows.size()) / table.columns, table.columns, 0};
}

void lidarpan_label(const lidarpan_scan *scan, const float *probabilities, int32_t num_classes,
                    const int32_t *ground, int32_t num_ground, uint8_t *semantic) {
    size_t num = scan->cells.size();
    std::vector<bool> is_ground(num);
    for (size_t v = 0; v < num; v++) {
        float sum = 0;
        for (int g = 0; g < num_ground; g++) sum += probabilities[v * num_classes + ground[g] - 1];
        is_ground[v] = sum > 0.5f;
    }
    auto patch = scan->patches(is_ground);
    std::vector<size_t> order(num);
    std::iota(order.begin(), order.end(), 0);
    if (num_ground) std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return patch[a] < patch[b]; });
    std::vector<uint8_t> of_voxel(num);
    std::vector<double> total(num_classes);
    for (size_t begin = 0, end; begin < num; begin = end) {
        std::fill(total.begin(), total.end(), 0);
        for (end = begin; end < num && (end == begin || (num_ground && patch[order[end]] == patch[order[begin]])); end++)
            for (int k = 0; k < num_classes; k++) total[k] += probabilities[order[end] * num_classes + k];
        for (double &value : total) value = float(value / double(end - begin));
        auto best = uint8_t(std::max_element(total.begin(), total.end()) - total.begin() + 1);
        for (size_t i = begin; i < end; i++) of_voxel[order[i]] = best;
    }
    for (size_t i = 0; i < scan->point_to_voxel.size(); i++)
        semantic[i] = scan->point_to_voxel[i] < 0 ? 0 : of_voxel[scan->point_to_voxel[i]];
}

void lidarpan_free(lidarpan_scan *scan) { delete scan; }
}
