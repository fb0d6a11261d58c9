#include "host/io/model/json.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace elbo::io {

namespace {

template <class Members>
auto find_in(Members& members, std::string_view key) {
    return std::find_if(members.begin(), members.end(), [&](const json::member& m) { return m.key == key; });
}

/// A list of two that may be a member of an object.
bool is_pair(const json& value) {
    return value.is_array() && value.size() == 2 && value[0].is_string();
}

} // namespace

json::json(std::string value) : kind_(kind::string) {
    content_.string = new std::string(std::move(value));
}

json::json(const std::map<std::string, std::string>& members) : json(object()) {
    for (const auto& [key, value] : members)
        content_.object->push_back({key, value});
}

json::json(std::initializer_list<json> values)
    : json(std::all_of(values.begin(), values.end(), is_pair) ? object() : array()) {
    for (const json& value : values)
        if (kind_ == kind::array)
            push_back(value);
        else
            (*this)[value[0].as_string()] = value[1];
}

json::json(const json& other) : content_(other.content_) {
    if (other.kind_ == kind::string)
        content_.string = new std::string(*other.content_.string);
    else if (other.kind_ == kind::array)
        content_.list = new std::vector<json>(*other.content_.list);
    else if (other.kind_ == kind::object)
        content_.object = new std::vector<member>(*other.content_.object);
    kind_ = other.kind_;
}

json::json(json&& other) noexcept : kind_(std::exchange(other.kind_, kind::null)), content_(other.content_) {}

json& json::operator=(json other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(content_, other.content_);
    return *this;
}

// A file may nest lists so deeply that destruction by recursion would exhaust the stack.
void json::release() noexcept {
    std::vector<json> parts;
    move_parts(*this, parts);
    while (!parts.empty()) {
        json part = std::move(parts.back());
        parts.pop_back();
        move_parts(part, parts);
        part.release_shallow();
    }
    release_shallow();
}

/// Takes what has parts of its own out of a list or an object.
void json::move_parts(json& from, std::vector<json>& to) {
    const auto take = [&](json& value) {
        if ((value.is_array() || value.is_object()) && value.size() > 0)
            to.push_back(std::move(value));
    };
    if (from.is_array())
        std::for_each(from.content_.list->begin(), from.content_.list->end(), take);
    else if (from.is_object())
        for (member& m : *from.content_.object)
            take(m.value);
}

void json::release_shallow() noexcept {
    if (kind_ == kind::string)
        delete content_.string;
    else if (kind_ == kind::array)
        delete content_.list;
    else if (kind_ == kind::object)
        delete content_.object;
    kind_ = kind::null;
}

json json::array() {
    json made;
    made.content_.list = new std::vector<json>;
    made.kind_ = kind::array;
    return made;
}

json json::object() {
    json made;
    made.content_.object = new std::vector<member>;
    made.kind_ = kind::object;
    return made;
}

bool json::is_int64() const {
    return kind_ == kind::integer || (kind_ == kind::natural && content_.integer >= 0);
}

double json::as_double() const {
    if (kind_ == kind::integer)
        return static_cast<double>(content_.integer);
    return kind_ == kind::natural ? static_cast<double>(as_uint64()) : content_.real;
}

std::size_t json::size() const {
    return is_array() ? content_.list->size() : is_object() ? content_.object->size() : 0;
}

void json::push_back(json value) {
    if (kind_ == kind::null)
        *this = array();
    content_.list->push_back(std::move(value));
}

const json* json::find(std::string_view key) const {
    if (!is_object())
        return nullptr;
    const auto found = find_in(*content_.object, key);
    return found == content_.object->end() ? nullptr : &found->value;
}

json& json::operator[](std::string_view key) {
    if (kind_ == kind::null)
        *this = object();
    auto found = find_in(*content_.object, key);
    if (found == content_.object->end())
        found = content_.object->insert(found, {std::string(key), nullptr});
    return found->value;
}

const json& json::operator[](std::string_view key) const {
    const json* found = find(key);
    if (!found)
        throw std::out_of_range("no member " + std::string(key));
    return *found;
}

void json::update(const json& other) {
    for (const auto& [key, value] : other.items())
        (*this)[key] = value;
}

void json::erase(std::string_view key) {
    const auto found = find_in(*content_.object, key);
    if (found != content_.object->end())
        content_.object->erase(found);
}

bool operator==(const json& a, const json& b) {
    if (a.is_whole() && b.is_whole())
        return a.is_int64() == b.is_int64() && a.as_uint64() == b.as_uint64();
    if (a.is_number() && b.is_number())
        return a.as_double() == b.as_double();
    if (a.kind_ != b.kind_ || a.size() != b.size())
        return false;
    switch (a.kind_) {
    case json::kind::boolean:
        return a.as_bool() == b.as_bool();
    case json::kind::string:
        return a.as_string() == b.as_string();
    case json::kind::array:
        return std::equal(a.begin(), a.end(), b.begin());
    case json::kind::object:
        return std::all_of(a.items().begin(), a.items().end(), [&](const json::member& m) {
            const json* other = b.find(m.key);
            return other && m.value == *other;
        });
    default:
        return true;
    }
}

} // namespace elbo::io
