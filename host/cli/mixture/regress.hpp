// condition over the rows of a file: what a mixture expects of the other columns.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/options.hpp"

#include <string>
#include <vector>

namespace elbo::cli {

struct regress_command {
    std::string model_path;
    std::vector<std::string> given; ///< the known columns; empty: those that DATA names
    data_options data;
    device_options device;
    output_options output;
    std::string row_path = "-";
    std::string type = "float64";
    std::string variances = "diagonal"; ///< none, diagonal or full
    std::string density_path, responsibility_path;
};

exit_status regress_rows(const regress_command& command, const std::string& command_line);

} // namespace elbo::cli
