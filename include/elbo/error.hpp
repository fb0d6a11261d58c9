// The exceptions of the library, never mixed: the caller's mistake (invalid_argument, file_error), the machine
// (not_available, out_of_memory, cuda_error), the caller's wish (interrupted). What the mathematics does (a collapsing
// component) is part of a result; an error only where there is no result left, as when a bound is not finite.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace elbo {

/// Base of every exception that the library throws on purpose.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// An argument breaks a rule. The message names the argument, its value and what was expected.
class invalid_argument : public error {
public:
    using error::error;
};

/// A file cannot be read or written, or is malformed. The message names the file and the line or byte offset.
class file_error : public error {
public:
    using error::error;
};

/// A back end or feature is not in this build or on this machine. The message says why and what to do.
class not_available : public error {
public:
    using error::error;
};

/// Memory could not be had on the host or the device.
class out_of_memory : public error {
public:
    out_of_memory(const std::string& message, std::uint64_t wanted_bytes, std::uint64_t free_bytes)
        : error(message), wanted(wanted_bytes), free(free_bytes) {}
    std::uint64_t wanted; ///< bytes asked for
    std::uint64_t free;   ///< bytes that were free
};

/// A callback asked to stop an operation whose partial result is of no use.
class interrupted : public error {
public:
    using error::error;
};

/// A call of the CUDA runtime or one of its libraries failed. The message holds the call, the file and the line.
class cuda_error : public error {
public:
    using error::error;
};

} // namespace elbo
