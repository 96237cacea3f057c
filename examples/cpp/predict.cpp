// A scan file to a label file without Python: predict NETWORK.pt2 SCAN.bin OUT.label
//
// NETWORK.pt2 comes from `lidarpan export town --to aoti`. SCAN.bin holds rows x y z intensity
// (KITTI), OUT.label a raw class of each point in 32 bits, without instances. The steps are those
// of `lidarpan predict` from voxels to classes; docs/export.md says which ones it lacks.
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <ATen/ops/from_blob.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "lidarpan_graph.h"

template <typename T>
std::vector<T> numbers(const std::string &words) {
    std::istringstream stream(words);
    return {std::istream_iterator<T>(stream), {}};
}

static lidarpan_grid read_grid(const std::unordered_map<std::string, std::string> &metadata) {
    lidarpan_grid grid{};
    auto low = numbers<double>(metadata.at("grid_min_m")), cell = numbers<double>(metadata.at("grid_cell_m"));
    auto shape = numbers<int32_t>(metadata.at("grid_shape"));
    std::copy_n(low.begin(), 3, grid.min_m);
    std::copy_n(cell.begin(), 3, grid.cell_m);
    std::copy_n(shape.begin(), 3, grid.shape);
    grid.num_levels = std::stoi(metadata.at("num_levels"));
    grid.rank_intensity = metadata.at("intensity") == "rank";
    return grid;
}

static std::vector<at::Tensor> inputs_of(const lidarpan_scan *scan) {
    std::vector<at::Tensor> inputs;
    for (int32_t i = 0; i < lidarpan_num_inputs(scan); i++) {
        lidarpan_input input = lidarpan_get_input(scan, i);
        std::vector<int64_t> shape{input.rows};
        if (input.columns > 1) shape.push_back(input.columns);
        auto dtype = input.is_float ? at::kFloat : at::kInt;
        inputs.push_back(at::from_blob(const_cast<void *>(input.data), shape, dtype));
    }
    return inputs;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: predict NETWORK.pt2 SCAN.bin OUT.label\n";
        return 2;
    }
    std::ifstream file(argv[2], std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.empty() || bytes.size() % 16) {
        std::cerr << "error: " << argv[2] << ": wanted rows of four float32, got " << bytes.size() << " bytes\n";
        return 2;
    }
    int64_t num_points = int64_t(bytes.size() / 16);

    torch::inductor::AOTIModelPackageLoader network(argv[1]);
    auto metadata = network.get_metadata();
    auto raw_ids = numbers<uint32_t>(metadata.at("raw_ids"));
    auto ground = numbers<int32_t>(metadata.at("ground"));
    lidarpan_grid grid = read_grid(metadata);

    std::vector<uint8_t> semantic(num_points, 0);
    auto *points = reinterpret_cast<const float *>(bytes.data());
    if (lidarpan_scan *scan = lidarpan_prepare(points, num_points, &grid)) {
        at::Tensor probabilities = network.run(inputs_of(scan))[0].contiguous();
        lidarpan_label(scan, probabilities.const_data_ptr<float>(), int32_t(probabilities.size(1)),
                       ground.data(), int32_t(ground.size()), semantic.data());
        lidarpan_free(scan);
    }

    std::ofstream out(argv[3], std::ios::binary);
    for (uint8_t train_id : semantic) out.write(reinterpret_cast<const char *>(&raw_ids[train_id]), 4);
    return out ? 0 : 1;
}
