// A JSON value: null, a truth value, a number, a string, a list or an object. It stands before the library that reads
// and prints JSON (host/io/model/json_text.cpp), which would be compiled anew with every source that it is included in.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace elbo::io {

class json {
public:
    struct member;
    enum class kind : std::uint8_t { null, boolean, integer, natural, real, string, array, object };

    json() noexcept = default;
    json(std::nullptr_t) noexcept {}
    json(bool value) noexcept : kind_(kind::boolean) { content_.boolean = value; }
    template <std::signed_integral T>
    json(T value) noexcept : kind_(kind::integer) {
        content_.integer = value;
    }
    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool>)
    json(T value)
    noexcept : kind_(kind::natural) { content_.integer = static_cast<std::int64_t>(value); }
    template <std::floating_point T>
    json(T value) noexcept : kind_(kind::real) {
        content_.real = value;
    }
    json(std::string value);
    json(std::string_view value) : json(std::string(value)) {}
    json(const char* value) : json(std::string(value)) {}
    /// A list.
    template <class T>
    json(const std::vector<T>& values) : json(array()) {
        for (const T& value : values)
            push_back(value);
    }
    /// An object.
    json(const std::map<std::string, std::string>& members);
    /// An object where every value is a list of two of which the first is a string, else a list.
    json(std::initializer_list<json> values);

    json(const json& other);
    json(json&& other) noexcept;
    json& operator=(json other) noexcept;
    ~json() {
        if (kind_ >= kind::string)
            release();
    }

    static json array();
    static json object();

    kind type() const { return kind_; }
    bool is_boolean() const { return kind_ == kind::boolean; }
    bool is_number() const { return is_whole() || kind_ == kind::real; }
    /// A number that was written without a fraction.
    bool is_whole() const { return kind_ == kind::integer || kind_ == kind::natural; }
    bool is_natural() const { return kind_ == kind::natural; }
    /// Whole, and as_int64() is the same number.
    bool is_int64() const;
    bool is_string() const { return kind_ == kind::string; }
    bool is_array() const { return kind_ == kind::array; }
    bool is_object() const { return kind_ == kind::object; }

    // The value, of which the kind must be known to be right.
    bool as_bool() const { return content_.boolean; }
    std::int64_t as_int64() const { return content_.integer; }
    std::uint64_t as_uint64() const { return static_cast<std::uint64_t>(content_.integer); }
    double as_double() const; ///< of any number
    const std::string& as_string() const { return *content_.string; }

    /// Entries of a list, members of an object; 0 for anything else.
    std::size_t size() const;

    // Lists. A null becomes one by push_back.
    template <std::integral Index>
    const json& operator[](Index index) const {
        return (*content_.list)[static_cast<std::size_t>(index)];
    }
    template <std::integral Index>
    json& operator[](Index index) {
        return (*content_.list)[static_cast<std::size_t>(index)];
    }
    const json* begin() const { return content_.list->data(); }
    const json* end() const { return content_.list->data() + content_.list->size(); }
    void push_back(json value);
    json& back() { return content_.list->back(); }

    // Objects: members in the order in which they were added. A null becomes one by adding a member.
    std::vector<member>& items() { return *content_.object; }
    const std::vector<member>& items() const { return *content_.object; }
    const json* find(std::string_view key) const; ///< nullptr where there is none, or no object
    bool contains(std::string_view key) const { return find(key) != nullptr; }
    json& operator[](std::string_view key);             ///< added as null where there is none
    const json& operator[](std::string_view key) const; ///< throws std::out_of_range where there is none
    void update(const json& other);                     ///< with the members of another object
    void erase(std::string_view key);

    /// Numbers by value, whatever their kind; objects whatever the order of their members.
    friend bool operator==(const json& a, const json& b);

private:
    union content {
        bool boolean;
        std::int64_t integer;
        double real;
        std::string* string;
        std::vector<json>* list;
        std::vector<member>* object;
    };
    void release() noexcept;
    void release_shallow() noexcept;
    static void move_parts(json& from, std::vector<json>& to);

    kind kind_ = kind::null;
    content content_ = {};
};

struct json::member {
    std::string key;
    json value;
};

} // namespace elbo::io
