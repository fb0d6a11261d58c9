#include "host/cli/options.hpp"

#include "elbo/error.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <string_view>

namespace elbo::cli {

namespace {

constexpr std::string_view cuda_prefix = "cuda:";

int cuda_ordinal(const std::string& device) {
    int ordinal = -1;
    const char* end = device.data() + device.size();
    const auto [stopped, problem] = std::from_chars(device.data() + cuda_prefix.size(), end, ordinal);
    if (problem != std::errc() || stopped != end || ordinal < 0)
        throw invalid_argument(fmt::format("--device {}: expected a device number, as in cuda:0", device));
    return ordinal;
}

} // namespace

void add_output_options(parser& command, output_options& options) {
    command.add_option("--json", options.json, "Write a machine-readable summary; - is standard output")
        ->type_name("FILE")
        ->group("Output");
    command.add_flag("-q,--quiet", options.quiet, "Print neither progress nor results")->group("Output");
}

void add_report_option(parser& command, output_options& options) {
    command.add_option("--report", options.report, "Write one self-contained page with pictures")
        ->type_name("FILE.html")
        ->group("Output");
}

void add_model_output_option(parser& command, std::string& path) {
    command.add_option("-o,--output", path, "Write the model: .safetensors or .json")
        ->type_name("MODEL")
        ->group("Output");
}

void add_device_options(parser& command, device_options& options) {
    command.add_option("--device", options.device, "Where to compute: auto, cpu, cuda, cuda:N or reference")
        ->type_name("DEVICE")
        ->capture_default_str()
        ->group("Device");
    command.add_option("--threads", options.threads, "Threads of the CPU back end; 0 takes all")
        ->type_name("N")
        ->capture_default_str()
        ->group("Device");
}

context make_context(const device_options& options) {
    const std::string& device = options.device;
    if (device == "cpu")
        return context::cpu(options.threads);
    if (device == "reference")
        return context::reference();
    if (device == "cuda")
        return context::cuda();
    if (device.starts_with(cuda_prefix))
        return context::cuda(cuda_ordinal(device));
    if (device != "auto")
        throw invalid_argument(fmt::format("--device {}: expected auto, cpu, cuda, cuda:N or reference", device));
    const context best = context::best();
    return best.where() == backend::cpu ? context::cpu(options.threads) : best;
}

void add_data_options(parser& command, data_options& options) {
    add_optional_data_options(command, options);
    command.get_option("DATA")->required();
}

void add_optional_data_options(parser& command, data_options& options) {
    command.add_option("DATA", options.path,
                       "Data file: .csv .tsv .npy .npz .f32 .f64 .h5, idx(.gz), or file.h5:/dataset");
    command.add_option("--columns", options.columns, "Columns to use, by name or by number from 0 (default: all)")
        ->delimiter(',')
        ->type_name("A,B,...")
        ->group("Data");
    command.add_option("--dimensions", options.dimensions, "Columns of a raw .f32 or .f64 file")
        ->type_name("D")
        ->group("Data");
    command.add_option("--dataset", options.dataset, "Dataset of an HDF5 file, or member of an .npz file")
        ->type_name("NAME")
        ->group("Data");
}

void add_weights_option(parser& command, data_options& options) {
    command
        .add_option("--weights", options.weights, "Weights of the samples: a column of DATA, or a file of one column")
        ->type_name("FILE|COLUMN")
        ->group("Data");
}

void add_labels_option(parser& command, data_options& options) {
    command
        .add_option(
            "--labels", options.labels,
            "Numbers by which the picture of the latents is coloured: a column of DATA, or a file of one column")
        ->type_name("FILE|COLUMN")
        ->group("Data");
}

void add_known_labels_option(parser& command, data_options& options) {
    command
        .add_option("--labels", options.labels,
                    "Components that samples are known to come from, -1 where unknown: a column of DATA, or a file of "
                    "one column")
        ->type_name("FILE|COLUMN")
        ->group("Data");
}

void add_scale_option(parser& command, data_options& options) {
    command
        .add_option("--scale", options.scale,
                    "Every value of DATA times this (default: 1/255 for images in -ubyte files, else 1)")
        ->type_name("S")
        ->group("Data");
}

void add_rows_option(parser& command, std::string& path, const std::string& what) {
    command.add_option("-o,--output", path, fmt::format("Write {} (.csv, .npy, .f32, .f64, .h5); - prints them", what))
        ->type_name("FILE")
        ->capture_default_str()
        ->group("Output");
}

void add_type_option(parser& command, std::string& type) {
    command.add_option("--type", type, "Type of the numbers in FILE: float32 or float64")
        ->type_name("TYPE")
        ->capture_default_str()
        ->group("Output");
}

void add_seed_option(parser& command, std::uint64_t& seed) {
    command.add_option("--seed", seed, "Seed of the random numbers")->type_name("S")->capture_default_str();
}

io::output_type output_type_from_string(const std::string& name) {
    if (name == "float32")
        return io::output_type::float32;
    if (name == "float64")
        return io::output_type::float64;
    throw invalid_argument(fmt::format("--type {}: expected float32 or float64", name));
}

} // namespace elbo::cli
