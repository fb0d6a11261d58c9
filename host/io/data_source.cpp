// data_source: a value that shares one implementation, chosen here by what it is made of.
#include "elbo/data_source.hpp"

#include "host/io/byte_stream.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/sources.hpp"

#include <fmt/format.h>

namespace elbo {
namespace {

using io::file_format;

// "file.h5:/dataset" as two parts.
struct located_file {
    std::string path;
    std::string dataset;
};

located_file locate(const std::string& path, const std::string& dataset) {
    const std::size_t colon = path.rfind(":/");
    if (colon != path.npos) {
        const file_format format = io::format_of_path(std::string_view(path).substr(0, colon)).format;
        if (format == file_format::hdf5)
            return {path.substr(0, colon), path.substr(colon + 1)};
        if (format == file_format::npz)
            return {path.substr(0, colon), path.substr(colon + 2)};
    }
    return {path, dataset};
}

[[noreturn]] void fail_unknown_ending(const std::string& path) {
    io::fail(path,
             fmt::format("the ending is none of .csv .tsv .data .tra .tes .txt (also .gz), .npy, .npz, .f32, .f64, "
                         ".idx and -ubyte (also .gz), .h5, .hdf5; the file looks like {}",
                         io::looks_like(io::first_bytes(path, 64))));
}

io::source_pointer open(const located_file& file, const io::path_format& kind, const file_options& options) {
    switch (kind.format) {
    case file_format::text:
        return io::open_text(file.path, kind.gzip, options);
    case file_format::npy:
        return io::open_npy(file.path, options);
    case file_format::npz:
        return io::open_npz(file.path, options);
    case file_format::float32:
        return io::open_raw(file.path, element_type::float32, options);
    case file_format::float64:
        return io::open_raw(file.path, element_type::float64, options);
    case file_format::idx:
        return io::open_idx(file.path, kind.gzip, options);
    case file_format::hdf5:
        return io::open_hdf5(file.path, options);
    case file_format::unknown:
        break;
    }
    fail_unknown_ending(file.path);
}

} // namespace

data_source::data_source(any_matrix_view view) : impl_(io::open_views({view})) {}
data_source::data_source(std::shared_ptr<const implementation> impl) : impl_(std::move(impl)) {}

data_source data_source::chunks(std::vector<any_matrix_view> parts) {
    return data_source(io::open_views(std::move(parts)));
}

data_source data_source::generator(std::int64_t rows, std::int64_t cols,
                                   std::function<void(std::int64_t, std::int64_t, float*)> fill) {
    return data_source(io::open_generator(rows, cols, std::move(fill)));
}

data_source data_source::file(const std::string& path, const file_options& options) {
    const located_file file = locate(path, options.dataset);
    const io::path_format kind = io::format_of_path(file.path);
    if (!file.dataset.empty() && kind.format != file_format::hdf5 && kind.format != file_format::npz)
        throw invalid_argument(
            fmt::format("dataset = '{}': {} is neither .h5 nor .npz, and only these hold several", file.dataset, path));
    file_options located = options;
    located.dataset = file.dataset;
    return data_source(io::scale_values(open(file, kind, located), options.scale));
}

std::int64_t data_source::rows() const {
    return impl_->rows;
}
std::int64_t data_source::cols() const {
    return impl_->cols;
}
element_type data_source::type() const {
    return impl_->type;
}
memory_space data_source::space() const {
    return impl_->space;
}
std::optional<any_matrix_view> data_source::contiguous() const {
    return impl_->contiguous();
}
const std::vector<std::string>& data_source::column_names() const {
    return impl_->column_names;
}
const std::string& data_source::description() const {
    return impl_->description;
}
std::unique_ptr<batch_reader> data_source::read(std::int64_t rows_per_batch) const {
    return impl_->read(rows_per_batch);
}

} // namespace elbo
