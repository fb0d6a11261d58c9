// HDF5 datasets, read by hyperslabs of rows.
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/readers.hpp"
#include "host/io/sources.hpp"

#ifndef ELBO_WITH_HDF5

namespace elbo::io {

source_pointer open_hdf5(const input_file& file, const file_options&) {
    throw not_available(file.name() +
                        ": this build of elbo reads no HDF5 files: install HDF5 and build with -DELBO_HDF5=ON");
}

} // namespace elbo::io

#else

#include "host/io/array/hdf5_handle.hpp"
#include "host/io/array/hdf5_lzf.hpp"
#include "host/io/array/mapped_file.hpp"
#include "host/io/byte_stream.hpp"
#include "host/io/text/whole_numbers.hpp"
#include "host/joined.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace elbo::io {
namespace {

constexpr std::int64_t check_bytes = std::int64_t{4} << 20; // of whole numbers looked at together
constexpr std::size_t chunk_cache_bytes = std::size_t{32}
                                          << 20; // a compressed chunk is decompressed once, not per batch

// An open dataset. Shared by its readers, which all work within hdf5_section.
struct hdf5_dataset {
    hdf5_handle file, set;
    std::vector<hsize_t> shape;
    std::int64_t rows = 0, cols = 0;
    stored_scalar element; ///< as whole numbers are read; float32 or float64 for floating-point numbers
    bool raw = false;      ///< what HDF5 does not turn into numbers (booleans, other enumerations): read as stored

    ~hdf5_dataset() {
        const hdf5_section section;
        set = hdf5_handle();
        file = hdf5_handle();
    }
};

hid_t memory_type(element_type type) {
    return type == element_type::float32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

hdf5_handle open_file(const input_file& input) {
    const std::string& path = input.name();
    const std::string head = first_bytes(input, 64); // also tells a missing file from a bad one
    const std::string kind = looks_like(head);
    if (kind != looks_like("\x89HDF\r\n\x1a\n"))
        fail_at_byte(path, 0,
                     fmt::format("expected the magic bytes \\x89HDF of an HDF5 file, but this looks like {}", kind));
    const hdf5_handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    std::string name = input.path();
    if (input.kept()) { // HDF5 opens no file without a name, so that it gets the bytes
        const mapped_file image(input);
        const std::span<const char> bytes = image.bytes();
        H5Pset_fapl_core(access.get(), std::size_t{1} << 16, false);
        name = input.name() + " in memory";                                             // a name that no file has
        H5Pset_file_image(access.get(), const_cast<char*>(bytes.data()), bytes.size()); // which are copied
    }
    hdf5_handle file(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
    if (!file.valid())
        fail_hdf5(path, fmt::format("byte {} is the end of the file, and opening it failed",
                                    std::filesystem::file_size(input.path())));
    return file;
}

struct found_dataset {
    std::string name;
    int extents = 0;
};

// How whole numbers of a type are stored; nothing where their size is none of a processor.
std::optional<stored_scalar> whole_scalar(hid_t type) {
    const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    const bool big_endian = H5Tget_order(type) == H5T_ORDER_BE;
    switch (H5Tget_size(type)) {
    case 1:
        return stored_scalar{is_signed ? scalar::int8 : scalar::uint8, false};
    case 2:
        return stored_scalar{is_signed ? scalar::int16 : scalar::uint16, big_endian};
    case 4:
        return stored_scalar{is_signed ? scalar::int32 : scalar::uint32, big_endian};
    case 8:
        return stored_scalar{is_signed ? scalar::int64 : scalar::uint64, big_endian};
    default:
        return std::nullopt;
    }
}

struct dataset_type {
    stored_scalar element;
    bool raw = false;
};

// What a dataset holds as numbers: nothing for text, structures, references. h5py writes booleans as an enumeration,
// PyTables as a field of bits.
std::optional<dataset_type> type_of(hid_t set) {
    const hdf5_handle type(H5Dget_type(set), H5Tclose);
    std::optional<stored_scalar> whole;
    switch (H5Tget_class(type.get())) {
    case H5T_FLOAT:
        return dataset_type{{H5Tget_size(type.get()) > 4 ? scalar::float64 : scalar::float32}};
    case H5T_INTEGER:
        whole = whole_scalar(type.get());
        break;
    case H5T_ENUM: {
        const hdf5_handle base(H5Tget_super(type.get()), H5Tclose);
        whole = whole_scalar(base.get());
        return whole ? std::optional(dataset_type{*whole, true}) : std::nullopt;
    }
    case H5T_BITFIELD:
        return H5Tget_size(type.get()) == 1 ? std::optional(dataset_type{{scalar::uint8}, true}) : std::nullopt;
    default:
        return std::nullopt;
    }
    if (!whole)
        return std::nullopt;
    whole->big_endian = false; // HDF5 turns it round
    return dataset_type{*whole};
}

// What a dataset without numbers holds, for messages.
std::string_view kind_of(hid_t set) {
    const hdf5_handle type(H5Dget_type(set), H5Tclose);
    switch (H5Tget_class(type.get())) {
    case H5T_STRING:
        return "text";
    case H5T_COMPOUND:
        return "structures (complex numbers, tables)";
    case H5T_VLEN:
        return "lists of different lengths";
    case H5T_REFERENCE:
        return "references";
    case H5T_ARRAY:
        return "arrays within elements";
    case H5T_INTEGER:
    case H5T_ENUM:
    case H5T_BITFIELD:
        return "whole numbers of an unusual size";
    default:
        return "data of another kind";
    }
}

herr_t note_dataset(hid_t group, const char* name, const H5L_info_t*, void* data) {
    const hdf5_handle object(H5Oopen(group, name, H5P_DEFAULT), H5Oclose);
    if (!object.valid() || H5Iget_type(object.get()) != H5I_DATASET || !type_of(object.get()))
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

// Refuses at once what could not be decompressed later.
void require_filters(hid_t set, const std::string& description) {
    register_lzf();
    const hdf5_handle creation(H5Dget_create_plist(set), H5Pclose);
    const int filters = H5Pget_nfilters(creation.get());
    for (int i = 0; i < filters; ++i) {
        unsigned flags = 0, settings = 0;
        std::size_t values = 0;
        char name[64] = {};
        const H5Z_filter_t filter = H5Pget_filter2(creation.get(), static_cast<unsigned>(i), &flags, &values, nullptr,
                                                   sizeof name, name, &settings);
        if (H5Zfilter_avail(filter) <= 0)
            fail(description, fmt::format("is compressed by filter {} ({}), which this HDF5 library lacks: h5repack -f "
                                          "GZIP=6 where it is there, or name its plugin in HDF5_PLUGIN_PATH",
                                          filter, name));
    }
}

std::shared_ptr<hdf5_dataset> open_dataset(const input_file& input, const std::string& wanted) {
    const hdf5_section section;
    auto opened = std::make_shared<hdf5_dataset>();
    opened->file = open_file(input);
    const std::string name = wanted.empty() ? find_dataset(opened->file, input.name()) : wanted;
    const std::string description = input.name() + ":" + name;
    const hdf5_handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    H5Pset_chunk_cache(access.get(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT, chunk_cache_bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    opened->set = hdf5_handle(H5Dopen2(opened->file.get(), name.c_str(), access.get()), H5Dclose);
    if (!opened->set.valid())
        throw invalid_argument(fmt::format("dataset = {}: {} has no such dataset", in_quotes(name), input.name()));
    const std::optional<dataset_type> type = type_of(opened->set.get());
    if (!type)
        fail(description,
             fmt::format("the dataset holds no numbers but {}, expected a float or integer type, or booleans",
                         kind_of(opened->set.get())));
    opened->element = type->element;
    opened->raw = type->raw;
    require_filters(opened->set.get(), description);
    read_shape(*opened, description);
    return opened;
}

hid_t whole_type(scalar s) {
    switch (s) {
    case scalar::int32:
        return H5T_NATIVE_INT32;
    case scalar::uint32:
        return H5T_NATIVE_UINT32;
    case scalar::int64:
        return H5T_NATIVE_INT64;
    default:
        return H5T_NATIVE_UINT64;
    }
}

// Rows first_row ... of the dataset into `out`. `memory` is the type there; below 0 it is that of the file.
void read_rows(const hdf5_dataset& opened, std::int64_t first_row, std::int64_t rows, hid_t memory, void* out,
               const std::string& description) {
    const hdf5_section section;
    std::vector<hsize_t> start(opened.shape.size(), 0), count = opened.shape;
    start[0] = static_cast<hsize_t>(first_row);
    count[0] = static_cast<hsize_t>(rows);
    const hsize_t elements = static_cast<hsize_t>(rows * opened.cols);
    if (elements == 0)
        return;
    const hdf5_handle file_type(H5Dget_type(opened.set.get()), H5Tclose);
    const hdf5_handle file_space(H5Dget_space(opened.set.get()), H5Sclose);
    const hdf5_handle memory_space(H5Screate_simple(1, &elements, nullptr), H5Sclose);
    H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
    if (H5Dread(opened.set.get(), memory < 0 ? file_type.get() : memory, memory_space.get(), file_space.get(),
                H5P_DEFAULT, out) < 0)
        fail_hdf5(description, fmt::format("cannot read rows {} to {}", first_row, first_row + rows - 1));
}

class hdf5_reader final : public filling_reader {
public:
    hdf5_reader(const data_source::implementation& source, std::int64_t rows_per_batch,
                std::shared_ptr<const hdf5_dataset> opened)
        : filling_reader(source, rows_per_batch), type_(source.type), description_(source.description),
          opened_(std::move(opened)) {}

private:
    void fill(std::int64_t first_row, std::int64_t rows, char* out) override {
        if (!opened_->raw)
            return read_rows(*opened_, first_row, rows, memory_type(type_), out, description_);
        const std::int64_t bytes = size_of(opened_->element.type);
        const host_memory stored(rows, opened_->cols * bytes);
        read_rows(*opened_, first_row, rows, -1, stored.data(), description_);
        convert(opened_->element, stored.data(), bytes, type_, out, 1, rows * opened_->cols);
    }

    element_type type_;
    std::string description_;
    std::shared_ptr<const hdf5_dataset> opened_;
};

// The type that keeps all digits of the columns, which for whole numbers the dataset itself has to say.
element_type type_of_columns(const hdf5_dataset& opened, const file_options& options,
                             const std::vector<std::int64_t>& columns, const std::string& description) {
    whole_number_check check(opened.element, options.type, columns, description);
    const std::int64_t bytes = size_of(opened.element.type), row_bytes = opened.cols * bytes;
    const std::int64_t step = std::max<std::int64_t>(1, check_bytes / std::max<std::int64_t>(row_bytes, 1));
    host_memory block;
    for (std::int64_t first = 0; first < opened.rows && check.goes_on(); first += step) {
        if (block.data() == nullptr)
            block = host_memory(std::min(step, opened.rows), row_bytes);
        const std::int64_t rows = std::min(step, opened.rows - first);
        read_rows(opened, first, rows, opened.raw ? -1 : whole_type(opened.element.type), block.data(), description);
        check.take({block.data(), rows, opened.cols, row_bytes, bytes});
    }
    return check.type();
}

class hdf5_source final : public data_source::implementation {
public:
    hdf5_source(std::shared_ptr<const hdf5_dataset> opened, const std::string& name, element_type wanted)
        : opened_(std::move(opened)) {
        rows = opened_->rows;
        cols = opened_->cols;
        type = wanted;
        description = name;
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

source_pointer open_hdf5(const input_file& file, const file_options& options) {
    const std::shared_ptr<const hdf5_dataset> opened = open_dataset(file, options.dataset);
    const std::string description = options.dataset.empty() ? file.name() : file.name() + ":" + options.dataset;
    const std::vector<std::int64_t> columns = find_columns(options.columns, {}, opened->cols, description);
    const element_type type = type_of_columns(*opened, options, columns, description);
    return select_columns(std::make_shared<hdf5_source>(opened, description, type), columns);
}

} // namespace elbo::io

#endif
