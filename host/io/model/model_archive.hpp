// Files of models and of states that are gone on with. One description of the members serves both formats
// (.safetensors, .json) and both directions:
//
//     template <class Archive, class Network> // Network is const where it is written
//     void describe(Archive& file, Network& n) {
//         file.member("layers", n.layers);                                    // a whole number
//         file.tensor("weights", {n.layers, -1}, n.weights);                  // a vector; -1: what there is
//         if (file.has("average", !n.average.empty()))                        // only some have it
//             file.tensor("average", {n.layers}, n.average);
//         file.object("options", [&](auto& o) { o.member("rate", n.rate); }); // JSON in the metadata
//     }
//
//     io::archive_writer file(path, format);       io::archive_reader file(path, format);
//     describe(file, n);                           describe(file, n);
//     file.commit();
//
// In .safetensors members are metadata and tensors are tensors; in .json members come first and tensors are nested
// lists, a matrix a row on each line. Every fault of a file is a file_error that names the file, the member and what
// was expected.
#pragma once

#include "host/io/errors.hpp"
#include "host/io/model/fields_json.hpp"
#include "host/io/model/json.hpp"
#include "host/io/model/safetensors.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace elbo::io {

enum class model_file_kind { safetensors, json };

/// By the ending. Throws invalid_argument for any other.
model_file_kind kind_to_save(const std::string& path);
/// Throws invalid_argument for any other than .safetensors.
void require_safetensors(std::string_view name, const std::string& path);
/// By the ending. Throws file_error that says what the file looks like.
model_file_kind kind_to_load(const std::string& path);

/// The format and version that a file must declare, and what it is to people ("a mixture").
struct model_format {
    const char* name;
    std::int64_t version;
    const char* what;
};
/// The format that a file declares. Throws file_error where it declares none.
std::string declared_format(const std::string& path);

/// What `make` returns. The rules of a model hold for files too, but here the file is at fault: invalid_argument
/// becomes file_error.
template <class Make>
auto from_file(const std::string& path, Make make) {
    try {
        return make();
    } catch (const invalid_argument& e) {
        fail(path, e.what());
    }
}

/// The members of a JSON object, as they are written.
class member_writer {
public:
    static constexpr bool reads = false;

    /// A number, a string, a name, a list of these, a struct or any JSON; nothing for an empty optional.
    template <class T>
    void member(std::string_view key, const T& value) {
        if constexpr (is_optional<T>) {
            if (value)
                member(key, *value);
        } else if constexpr (with_fields<T>) {
            object(key, [&](auto& inner) { inner.members(value); });
        } else if constexpr (std::same_as<T, json>) {
            object_[key] = value;
        } else {
            object_[key] = json_of(value);
        }
    }
    /// The members that a run depends on and of which there is JSON, those of structs in it beside them; or all of an
    /// object.
    template <with_fields S>
    void members(const S& s) {
        for_each_field<S>([&](const auto& f) {
            using M = std::remove_cvref_t<decltype(s.*f.member)>;
            if (!f.decides)
                return;
            if constexpr (with_fields<M>) {
                members(s.*f.member);
            } else if constexpr (has_json<M>()) {
                if (!f.is_later || json_of(s.*f.member) != json_of(S{}.*f.member))
                    member(f.name, s.*f.member);
            }
        });
    }
    void members(const json& all) { object_.update(all); }
    /// An object whose members `describe` lists for the writer that it is given.
    template <class Describe>
    void object(std::string_view key, const Describe& describe) {
        member_writer inner;
        describe(inner);
        object_[key] = inner.take();
    }
    /// Whether to go on with a member that not every file has: `now`, and in a reader what the file has.
    bool has(std::string_view, bool now) const { return now; }
    json take() { return std::move(object_); }

protected:
    json object_ = json::object();
};

/// The members of a JSON object, or the metadata of a .safetensors file, as they are read. Every function throws
/// file_error: missing, of another type, too large.
class member_reader {
public:
    static constexpr bool reads = true;

    /// `key` is what the object is called; it must be one.
    member_reader(json object, std::string_view key, std::string path);

    const std::string& path() const { return path_; }
    [[noreturn]] void fail(std::string_view message) const { io::fail(path_, message); }

    template <class T>
    void member(std::string_view key, T& value) const {
        if constexpr (is_optional<T>) {
            if (has(key))
                member(key, value.emplace());
        } else {
            read(find(key, std::same_as<T, std::int64_t>              ? form::whole
                           : std::same_as<T, std::string> || named<T> ? form::text
                                                                      : form::other),
                 key, value);
        }
    }
    template <with_fields S>
    void members(S& s) const {
        for_each_field<S>([&](const auto& f) {
            using M = std::remove_cvref_t<decltype(s.*f.member)>;
            if (!f.decides)
                return;
            if constexpr (with_fields<M>) {
                members(s.*f.member);
            } else if constexpr (has_json<M>()) {
                if (!f.is_later || has(f.name))
                    member(f.name, s.*f.member);
            }
        });
    }
    void members(json& all) const { all = object_; }
    template <class Describe>
    void object(std::string_view key, const Describe& describe) const {
        member_reader inner(find(key, form::other), key, path_);
        describe(inner);
    }
    bool has(std::string_view key, bool = true) const;

protected:
    member_reader(std::string path) : path_(std::move(path)) {}
    /// A string of metadata is a text, a whole number or the text of any other JSON.
    enum class form { text, whole, other };
    json find(std::string_view key, form wanted) const;

    /// Whole numbers, numbers, truth values, strings, and lists of the others.
    template <class T>
    void read(const json& value, std::string_view key, T& out) const;
    template <named E>
    void read(const json& value, std::string_view key, E& out) const {
        std::string name;
        read(value, key, name);
        out = from_file(path_, [&] { return value_of<E>(name); });
    }
    template <with_fields S>
    void read(const json& value, std::string_view key, S& out) const {
        member_reader(value, key, path_).members(out);
    }

    std::string path_;
    json object_;
    std::optional<tensor_file> tensors_; ///< .safetensors
};

using extents = std::vector<std::int64_t>;
enum class packing { float64, compact }; ///< compact: float32 where every value is one exactly

class archive_writer : public member_writer {
public:
    /// Throws invalid_argument for an ending that no model has.
    archive_writer(std::string path, const model_format& format);

    /// Names of the columns of the data: none, or one for each dimension. Throws invalid_argument.
    void column_names(const std::vector<std::string>& names, std::int64_t dimensions);
    /// Row-major, of doubles or std::int64_t; one extent may be -1. Throws invalid_argument, at the latest in commit,
    /// where the extents do not match.
    template <class T>
    void tensor(const std::string& name, extents shape, const std::vector<T>& values, packing how = packing::float64);
    void tensor(const std::string& name, extents shape, const std::optional<std::vector<double>>& values) {
        tensor(name, std::move(shape), values.value());
    }
    /// Float64 [1]; in .json a list of one.
    void scalar(const char* name, double value) { tensor(name, {1}, std::vector<double>{value}); }
    void scalar(const char* name, const std::optional<double>& value) { scalar(name, value.value()); }
    /// Float64 [1]; in .json a number.
    void bare_scalar(const char* name, double value);
    /// In .json the tensors that follow are members of an object of this name.
    void tensors_within(const char* key) { within_ = key; }
    /// Writes the file, which is there whole or not at all. Throws file_error.
    void commit();

private:
    std::string path_;
    model_file_kind kind_;
    std::vector<std::string> lists_; ///< .json: the tensors as text
    std::string within_;             ///< what tensors_within was called with
    tensor_file file_;
};

class archive_reader : public member_reader {
public:
    /// Reads the whole file. Throws file_error (missing, truncated, malformed, of another format or version).
    archive_reader(const std::string& path, const model_format& format);

    void column_names(std::vector<std::string>& names, std::int64_t dimensions) const;
    /// The extents must be those of the file; -1 stands for any.
    template <class T>
    void tensor(const std::string& name, const extents& shape, std::vector<T>& values,
                packing how = packing::float64) const;
    void tensor(const std::string& name, const extents& shape, std::optional<std::vector<double>>& values) const {
        tensor(name, shape, values.emplace());
    }
    void scalar(const char* name, double& value) const;
    void scalar(const char* name, std::optional<double>& value) const { scalar(name, value.emplace()); }
    void bare_scalar(const char* name, double& value) const;
    void tensors_within(const char* key);
};

} // namespace elbo::io
