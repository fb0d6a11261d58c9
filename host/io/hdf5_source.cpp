// HDF5 datasets, read by hyperslabs of rows.
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/readers.hpp"
#include "host/io/sources.hpp"

#ifndef ELBO_WITH_HDF5

namespace elbo::io {

source_pointer open_hdf5(const std::string& path, const file_options&) {
    throw not_available(path + ": this build of elbo reads no HDF5 files: install HDF5 and build with -DELBO_HDF5=ON");
}

} // namespace elbo::io

#else

#include "host/io/byte_stream.hpp"
#include "host/io/hdf5_handle.hpp"
#include "host/io/scalar.hpp"
#include "host/joined.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace elbo::io {
namespace {

constexpr std::size_t chunk_cache_bytes = std::size_t{32}
                                          << 20; // a compressed chunk is decompressed once, not per batch

// An open dataset. Shared by its readers, which all work within hdf5_section.
struct hdf5_dataset {
    hdf5_handle file, set;
    std::vector<hsize_t> shape;
    std::int64_t rows = 0, cols = 0;

    ~hdf5_dataset() {
        const hdf5_section section;
        set = hdf5_handle();
        file = hdf5_handle();
    }
};

hid_t memory_type(element_type type) {
    return type == element_type::float32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

hdf5_handle open_file(const std::string& path) {
    const std::string head = first_bytes(path, 64); // also tells a missing file from a bad one
    const std::string kind = looks_like(head);
    if (kind != looks_like("\x89HDF\r\n\x1a\n"))
        fail_at_byte(path, 0,
                     fmt::format("expected the magic bytes \\x89HDF of an HDF5 file, but this looks like {}", kind));
    hdf5_handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (!file.valid())
        fail_hdf5(path, fmt::format("byte {} is the end of the file, and opening it failed",
                                    std::filesystem::file_size(path)));
    return file;
}

struct found_dataset {
    std::string name;
    int extents = 0;
};

bool is_numeric(hid_t set) {
    const hdf5_handle type(H5Dget_type(set), H5Tclose);
    const H5T_class_t kind = H5Tget_class(type.get());
    return kind == H5T_FLOAT || kind == H5T_INTEGER;
}

herr_t note_dataset(hid_t group, const char* name, const H5L_info_t*, void* data) {
    const hdf5_handle object(H5Oopen(group, name, H5P_DEFAULT), H5Oclose);
    if (!object.valid() || H5Iget_type(object.get()) != H5I_DATASET || !is_numeric(object.get()))
        return 0;
    const hdf5_handle space(H5Dget_space(object.get()), H5Sclose);
    static_cast<std::vector<found_dataset>*>(data)->push_back(
        {std::string("/") + name, H5Sget_simple_extent_ndims(space.get())});
    return 0;
}

// The only dataset of two extents, or else the only one.
std::string find_dataset(const hdf5_handle& file, const std::string& path) {
    std::vector<found_dataset> all;
    if (H5Lvisit(file.get(), H5_INDEX_NAME, H5_ITER_NATIVE, note_dataset, &all) < 0)
        fail_hdf5(path, "cannot list it");
    std::vector<found_dataset> matrices;
    std::string names;
    for (const found_dataset& found : all) {
        if (found.extents == 2)
            matrices.push_back(found);
        names += (names.empty() ? "" : ", ") + in_quotes(found.name);
    }
    if (matrices.size() == 1)
        return matrices.front().name;
    if (all.size() == 1)
        return all.front().name;
    if (all.empty())
        fail(path, "expected a dataset of numbers, found none");
    throw invalid_argument(fmt::format("dataset: {} has several datasets, expected one of {}", path, names));
}

void read_shape(hdf5_dataset& opened, const std::string& description) {
    const hdf5_handle space(H5Dget_space(opened.set.get()), H5Sclose);
    const int extents = H5Sget_simple_extent_ndims(space.get());
    if (extents < 1)
        fail(description, "the dataset has no extents, expected rows and columns");
    opened.shape.resize(static_cast<std::size_t>(extents));
    H5Sget_simple_extent_dims(space.get(), opened.shape.data(), nullptr);
    std::optional<std::int64_t> cols = 1;
    for (std::size_t i = 1; i < opened.shape.size() && cols; ++i)
        cols = checked_product(*cols, static_cast<std::int64_t>(opened.shape[i]));
    opened.rows = static_cast<std::int64_t>(opened.shape[0]);
    const std::optional<std::int64_t> elements = cols ? checked_product(opened.rows, *cols) : std::nullopt;
    if (!elements || !checked_product(*elements, 8))
        fail(description,
             fmt::format("the shape ({}) has more bytes than an address can reach",
                         joined(std::vector<std::uint64_t>(opened.shape.begin(), opened.shape.end()), ", ")));
    opened.cols = *cols;
}

std::shared_ptr<hdf5_dataset> open_dataset(const std::string& path, const std::string& wanted) {
    const hdf5_section section;
    auto opened = std::make_shared<hdf5_dataset>();
    opened->file = open_file(path);
    const std::string name = wanted.empty() ? find_dataset(opened->file, path) : wanted;
    const hdf5_handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    H5Pset_chunk_cache(access.get(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT, chunk_cache_bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    opened->set = hdf5_handle(H5Dopen2(opened->file.get(), name.c_str(), access.get()), H5Dclose);
    if (!opened->set.valid())
        throw invalid_argument(fmt::format("dataset = {}: {} has no such dataset", in_quotes(name), path));
    if (!is_numeric(opened->set.get()))
        fail(path + ":" + name, "the dataset holds no numbers, expected a float or integer type");
    read_shape(*opened, path + ":" + name);
    return opened;
}

class hdf5_reader final : public filling_reader {
public:
    hdf5_reader(const data_source::implementation& source, std::int64_t rows_per_batch,
                std::shared_ptr<const hdf5_dataset> opened)
        : filling_reader(source, rows_per_batch), type_(source.type), description_(source.description),
          opened_(std::move(opened)) {}

private:
    void fill(std::int64_t first_row, std::int64_t rows, char* out) override {
        const hdf5_section section;
        std::vector<hsize_t> start(opened_->shape.size(), 0), count = opened_->shape;
        start[0] = static_cast<hsize_t>(first_row);
        count[0] = static_cast<hsize_t>(rows);
        const hsize_t elements = static_cast<hsize_t>(rows * opened_->cols);
        if (elements == 0)
            return;
        const hdf5_handle file_space(H5Dget_space(opened_->set.get()), H5Sclose);
        const hdf5_handle memory_space(H5Screate_simple(1, &elements, nullptr), H5Sclose);
        H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
        if (H5Dread(opened_->set.get(), memory_type(type_), memory_space.get(), file_space.get(), H5P_DEFAULT, out) < 0)
            fail_hdf5(description_, fmt::format("cannot read rows {} to {}", first_row, first_row + rows - 1));
    }

    element_type type_;
    std::string description_;
    std::shared_ptr<const hdf5_dataset> opened_;
};

element_type natural_type(const hdf5_dataset& opened) {
    const hdf5_section section;
    const hdf5_handle type(H5Dget_type(opened.set.get()), H5Tclose);
    const bool wide = H5Tget_class(type.get()) == H5T_FLOAT && H5Tget_size(type.get()) > 4;
    return wide ? element_type::float64 : element_type::float32;
}

class hdf5_source final : public data_source::implementation {
public:
    hdf5_source(const std::string& path, const file_options& options) : opened_(open_dataset(path, options.dataset)) {
        rows = opened_->rows;
        cols = opened_->cols;
        type = options.type.value_or(natural_type(*opened_));
        description = options.dataset.empty() ? path : path + ":" + options.dataset;
    }

    std::unique_ptr<batch_reader> read(std::int64_t rows_per_batch) const override {
        return std::make_unique<hdf5_reader>(*this, rows_per_batch, opened_);
    }

private:
    std::shared_ptr<const hdf5_dataset> opened_;
};

herr_t keep_deepest(unsigned, const H5E_error2_t* entry, void* text) {
    if (entry->desc != nullptr)
        *static_cast<std::string*>(text) = entry->desc;
    return 0;
}

} // namespace

void fail_hdf5(const std::string& path, std::string_view action) {
    std::string reason;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_deepest, &reason);
    fail(path, reason.empty() ? std::string(action) : fmt::format("{} (HDF5: {})", action, reason));
}

source_pointer open_hdf5(const std::string& path, const file_options& options) {
    return select_columns(std::make_shared<hdf5_source>(path, options), options.columns);
}

} // namespace elbo::io

#endif
