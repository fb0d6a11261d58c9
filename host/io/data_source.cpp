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
using io::input_file;
using io::path_format;

[[noreturn]] void fail_unknown_ending(const input_file& file) {
    io::fail(file.name(),
             fmt::format("the ending is none of .csv .tsv .data .tra .tes .txt, .npy, .npz, .f32, .f64, .idx, -ubyte, "
                         ".h5, .hdf5 (also .gz); the file looks like {}",
                         io::looks_like(io::first_bytes(file, 64))));
}

// A name without an ending says nothing: standard input, and the pipes that a shell makes.
path_format format_of(input_file& file) {
    path_format kind = io::format_of_path(file.name());
    if (kind.format != file_format::unknown || (!file.kept() && !file.name().starts_with("/dev/")))
        return kind;
    kind = io::format_of_bytes(io::first_bytes(file, 64));
    if (!kind.gzip)
        return kind;
    file = input_file::decompressed(file);
    return io::format_of_bytes(io::first_bytes(file, 64));
}

io::source_pointer open(input_file file, const path_format& kind, const file_options& options) {
    switch (kind.format) {
    case file_format::text:
        return io::open_text(file, kind.gzip, options);
    case file_format::npy:
        return io::open_npy(file, kind.gzip, options);
    case file_format::idx:
        return io::open_idx(file, kind.gzip, options);
    case file_format::unknown:
        fail_unknown_ending(file);
    default:
        break;
    }
    if (kind.gzip) // these are read from several places at once
        file = input_file::decompressed(file);
    switch (kind.format) {
    case file_format::npz:
        return io::open_npz(file, options);
    case file_format::float32:
        return io::open_raw(file, element_type::float32, options);
    case file_format::float64:
        return io::open_raw(file, element_type::float64, options);
    default:
        return io::open_hdf5(file, options);
    }
}

// With what must live for as long as the source.
io::source_pointer holding(io::source_pointer source, const std::shared_ptr<const void>& kept) {
    if (!kept)
        return source;
    struct both {
        io::source_pointer source;
        std::shared_ptr<const void> kept;
    };
    const data_source::implementation* const shown = source.get();
    return {std::make_shared<both>(both{std::move(source), kept}), shown};
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
    io::located_file where = io::locate(path);
    file_options located = options;
    if (!where.dataset.empty())
        located.dataset = where.dataset;
    input_file file = input_file::open(where.path);
    const std::shared_ptr<const void> pipe = file.keeper();
    const path_format kind = format_of(file);
    if (!located.dataset.empty() && kind.format != file_format::hdf5 && kind.format != file_format::npz)
        throw invalid_argument(fmt::format("dataset = '{}': {} is neither .h5 nor .npz, and only these hold several",
                                           located.dataset, file.name()));
    io::source_pointer source = open(file, kind, located);
    if (kind.format != file_format::text)
        source = io::refuse_missing(std::move(source), options.missing);
    return data_source(io::scale_values(holding(std::move(source), pipe), options.scale));
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
const std::vector<left_out_column>& data_source::left_out() const {
    return impl_->left_out;
}
const std::vector<std::string>& data_source::remarks() const {
    return impl_->remarks;
}
std::unique_ptr<batch_reader> data_source::read(std::int64_t rows_per_batch) const {
    return impl_->read(rows_per_batch);
}

} // namespace elbo
