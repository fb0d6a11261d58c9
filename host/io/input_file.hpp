// A file to read: what it is called, and the path under which it is opened, as often as there are passes.
#pragma once

#include "host/io/byte_stream.hpp"

#include <memory>
#include <string>

namespace elbo::io {

/// The name that stands for standard input.
inline constexpr std::string_view standard_input = "-";

class input_file {
public:
    /// An ordinary file, which is called by its path.
    input_file(std::string path) : name_(path), path_(std::move(path)) {}

    /// Whatever `path` names. What can be read only once (a pipe, a socket, a terminal, standard input "-") is read
    /// now, to its end, into a temporary file without a name; while one of its copies lives, opening it again gives the
    /// same bytes. Throws file_error (missing, a device without end, no room for a temporary file).
    static input_file open(const std::string& path);
    /// The decompressed bytes of a gzip file, kept in the same way.
    static input_file decompressed(const input_file& file);

    /// For messages: the path as it was given, or "standard input".
    const std::string& name() const { return name_; }
    /// For opening.
    const std::string& path() const { return path_; }
    /// Whether the bytes are kept elsewhere: the name says nothing about where they are.
    bool kept() const { return kept_ != nullptr; }
    /// What must live for as long as the file is opened again.
    const std::shared_ptr<const void>& keeper() const { return kept_; }

private:
    std::string name_, path_;
    std::shared_ptr<const void> kept_;
};

} // namespace elbo::io
