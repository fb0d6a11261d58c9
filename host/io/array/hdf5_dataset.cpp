// Finds and opens a dataset, says what it holds, and looks at its chunks.
#ifdef ELBO_WITH_HDF5

#include "host/io/array/hdf5.hpp"

#include "host/io/format.hpp"
#include "host/joined.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace elbo::io {
namespace {

constexpr std::size_t chunk_cache_bytes = std::size_t{32}
                                          << 20; // a compressed chunk is decompressed once, not per batch

herr_t keep_deepest(unsigned, const H5E_error2_t* entry, void* text) {
    if (entry->desc != nullptr)
        *static_cast<std::string*>(text) = entry->desc;
    return 0;
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
        const random_access_file kept(input);
        std::string image(kept.size(), '\0');
        kept.read(0, image.data(), image.size(), "the file");
        H5Pset_fapl_core(access.get(), std::size_t{1} << 16, false);
        name = input.name() + " in memory";                          // a name that no file has
        H5Pset_file_image(access.get(), image.data(), image.size()); // which are copied
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
    constexpr scalar types[][2] = {{scalar::uint8, scalar::int8},
                                   {scalar::uint16, scalar::int16},
                                   {scalar::uint32, scalar::int32},
                                   {scalar::uint64, scalar::int64}};
    for (const auto& [plain, with_sign] : types)
        if (static_cast<std::int64_t>(H5Tget_size(type)) == size_of(plain))
            return stored_scalar{H5Tget_sign(type) == H5T_SGN_2 ? with_sign : plain,
                                 H5Tget_order(type) == H5T_ORDER_BE && size_of(plain) > 1};
    return std::nullopt;
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
    constexpr std::string_view unusual = "whole numbers of an unusual size";
    constexpr std::pair<H5T_class_t, std::string_view> kinds[] = {
        {H5T_STRING, "text"},
        {H5T_COMPOUND, "structures (complex numbers, tables)"},
        {H5T_VLEN, "lists of different lengths"},
        {H5T_REFERENCE, "references"},
        {H5T_ARRAY, "arrays within elements"},
        {H5T_INTEGER, unusual},
        {H5T_ENUM, unusual},
        {H5T_BITFIELD, unusual}};
    const hdf5_handle type(H5Dget_type(set), H5Tclose);
    const auto* const known = std::ranges::find(kinds, H5Tget_class(type.get()), [](const auto& k) { return k.first; });
    return known != std::end(kinds) ? known->second : "data of another kind";
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

constexpr hsize_t checksum_bytes = 4; // that the filter fletcher32 appends

std::string place(const std::vector<hsize_t>& offset) {
    return fmt::format("the chunk at ({})", joined(std::vector<std::uint64_t>(offset.begin(), offset.end()), ", "));
}

} // namespace

void fail_hdf5(const std::string& path, std::string_view action) {
    std::string reason;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_deepest, &reason);
    fail(path, reason.empty() ? std::string(action) : fmt::format("{} (HDF5: {})", action, reason));
}

std::shared_ptr<const hdf5_dataset> open_dataset(const input_file& input, const std::string& wanted) {
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
    read_shape(*opened, description);
    opened->chunks = hdf5_chunks(opened->set.get(), opened->shape, description);
    return opened;
}

hdf5_chunks::hdf5_chunks(hid_t set, const std::vector<hsize_t>& shape, const std::string& description) : shape_(shape) {
    const hdf5_handle creation(H5Dget_create_plist(set), H5Pclose);
    if (H5Pget_layout(creation.get()) != H5D_CHUNKED)
        return;
    chunk_.resize(shape.size());
    H5Pget_chunk(creation.get(), static_cast<int>(chunk_.size()), chunk_.data());
    const hdf5_handle type(H5Dget_type(set), H5Tclose);
    bytes_ = H5Tget_size(type.get());
    for (const hsize_t extent : chunk_)
        bytes_ *= extent;
    register_lzf();
    for (int i = 0; i < H5Pget_nfilters(creation.get()); ++i) {
        unsigned flags = 0, settings = 0, values[3] = {};
        std::size_t count = 3;
        char name[64] = {};
        filters_.push_back(H5Pget_filter2(creation.get(), static_cast<unsigned>(i), &flags, &count, values, sizeof name,
                                          name, &settings));
        if (H5Zfilter_avail(filters_.back()) <= 0) // what could not be decompressed later
            fail(description, fmt::format("is compressed by filter {} ({}), which this HDF5 library lacks: h5repack -f "
                                          "GZIP=6 where it is there, or name its plugin in HDF5_PLUGIN_PATH",
                                          filters_.back(), name));
        if (filters_.back() == lzf_filter && count > 2 && values[2] != bytes_)
            fail(description, fmt::format("its chunks have {} bytes, but LZF was told {}", bytes_, values[2]));
    }
    const hdf5_handle file(H5Iget_file_id(set), H5Fclose);
    H5Fget_filesize(file.get(), &file_bytes_);
    if (std::find(chunk_.begin(), chunk_.end(), hsize_t(0)) != chunk_.end())
        chunk_.clear(); // libhdf5 refuses it
}

void hdf5_chunks::check(hid_t set, std::int64_t first_row, std::int64_t rows, const std::string& description) {
    if (chunk_.empty() || rows == 0)
        return;
    const hsize_t first = static_cast<hsize_t>(first_row) / chunk_[0];
    const hsize_t last = static_cast<hsize_t>(first_row + rows - 1) / chunk_[0];
    for (hsize_t row = first <= checked_ ? std::max(first, checked_) : first; row <= last; ++row)
        check_row_of_chunks(set, row, description);
    if (first <= checked_)
        checked_ = std::max(checked_, last + 1);
}

void hdf5_chunks::check_row_of_chunks(hid_t set, hsize_t row, const std::string& description) {
    std::vector<hsize_t> offset(chunk_.size(), 0);
    offset[0] = row * chunk_[0];
    for (std::size_t axis = 1; axis > 0;) {
        check_chunk(set, offset, description);
        for (axis = chunk_.size() - 1; axis > 0; --axis) { // the next one, the last extent first
            if ((offset[axis] += chunk_[axis]) < shape_[axis])
                break;
            offset[axis] = 0;
        }
    }
}

void hdf5_chunks::check_chunk(hid_t set, const std::vector<hsize_t>& offset, const std::string& description) {
    hsize_t size = 0;
    if (H5Dget_chunk_storage_size(set, offset.data(), &size) < 0)
        fail_hdf5(description, "cannot find " + place(offset));
    if (size == 0)
        return; // never written: all elements have the fill value
    if (size > file_bytes_)
        fail(description, fmt::format("{} has {} bytes, more than the file", place(offset), size));
    std::uint32_t mask = 0;
    if (!filters_.empty()) { // which mask a chunk has is only told with its bytes
        stored_.resize(size);
        if (H5Dread_chunk(set, H5P_DEFAULT, offset.data(), &mask, stored_.data()) < 0)
            fail_hdf5(description, "cannot read " + place(offset));
    }
    hsize_t expected = bytes_;
    for (std::size_t i = 0; i < filters_.size(); ++i) {
        if ((mask >> i & 1) != 0 || filters_[i] == H5Z_FILTER_SHUFFLE)
            continue;
        if (filters_[i] != H5Z_FILTER_FLETCHER32)
            return; // compressed: of any size
        expected += checksum_bytes;
    }
    if (size != expected)
        fail(description, fmt::format("{} has {} bytes with the filter mask {:#x}, expected {}", place(offset), size,
                                      mask, expected));
}

} // namespace elbo::io

#endif
