#include "host/cli/command.hpp"
#include "host/cli/core/findings.hpp"
#include "host/cli/core/outputs.hpp"

#include "elbo/blas.hpp"
#include "elbo/version.hpp"

namespace elbo::cli {
namespace {

std::string gibibytes(std::int64_t bytes) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
}

std::string option_of(const device_info& device) {
    const std::string_view where = to_string(device.where);
    return device.ordinal >= 0 ? fmt::format("{}:{}", where, device.ordinal) : std::string(where);
}

std::string blas_text(const blas_info& blas) {
    std::string text = blas.name;
    if (!blas.core.empty())
        text += fmt::format(", kernels for {}", blas.core);
    return text + (blas.advice.empty() ? "" : "\n" + blas.advice) + "\n";
}

std::string device_text(const device_list& list, const blas_info& blas) {
    std::vector<std::pair<std::string, std::string>> lines;
    for (const device_info& device : list.devices) {
        std::string text = device.name;
        if (device.ordinal >= 0)
            text +=
                fmt::format(", {} free of {}, {} multiprocessors, compute capability {}", gibibytes(device.free_bytes),
                            gibibytes(device.total_bytes), device.multiprocessors, device.compute_capability);
        lines.emplace_back(option_of(device), text);
    }
    return text_list(lines) + fmt::format("\nCUDA: {}\nBLAS: {}", list.cuda_status, blas_text(blas));
}

json device_json(const device_list& list, const blas_info& blas, const std::string& command_line) {
    json devices = json::array();
    for (const device_info& device : list.devices)
        devices.push_back({{"device", option_of(device)},
                           {"name", device.name},
                           {"total_bytes", device.total_bytes},
                           {"free_bytes", device.free_bytes},
                           {"multiprocessors", device.multiprocessors},
                           {"compute_capability", device.compute_capability}});
    return {{"command", command_line},
            {"version", version},
            {"devices", devices},
            {"cuda", list.cuda_status},
            {"blas", {{"name", blas.name}, {"core", blas.core}, {"advice", blas.advice}}}};
}

struct devices_command {
    output_options output;

    void add_options(parser& app) { add_output_options(app, output); }

    exit_status run(const std::string& command_line) const {
        check_files({.inputs = {}, .outputs = {output.json}});
        const device_list list = devices();
        const blas_info used = blas();
        write_json(output, device_json(list, used, command_line));
        print_results(output, device_text(list, used));
        return exit_status::success;
    }
};

} // namespace

void add_devices(parser& app, invocation& call) {
    add_command<devices_command>(app, call, "devices", "List what can be computed on here");
}

} // namespace elbo::cli
