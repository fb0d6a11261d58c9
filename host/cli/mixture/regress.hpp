// condition over the rows of a file: what a mixture expects of the other columns.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/row_output.hpp"

#include <string>
#include <vector>

namespace elbo::cli {

struct regression {
    std::string model_path;
    std::vector<std::string> given; ///< the known columns; empty: those that DATA names
    data_options data;
    device_options device;
    output_options output;
    row_options rows;
    std::string variances = "diagonal"; ///< none, diagonal or full
    std::string density_path, responsibility_path;

    exit_status run(const std::string& command_line) const;
};

} // namespace elbo::cli
