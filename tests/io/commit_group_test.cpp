// Files that appear together or not at all.
#include "host/io/write/atomic_file.hpp"
#include "tests/support/io_files.hpp"

#include <filesystem>
#include <new>

namespace elbo::io {
namespace {

void write_file(const std::string& path, const std::string& text) {
    atomic_file file(path);
    file.write(text);
    file.commit();
}

TEST(CommitGroup, FilesAppearAtTheEndOfTheGroup) {
    const test::temporary_folder folder;
    write_file(folder.path("b"), "before");
    {
        commit_group group;
        write_file(folder.path("a"), "one");
        write_file(folder.path("b"), "two");
        EXPECT_FALSE(std::filesystem::exists(folder.path("a")));
        EXPECT_EQ(test::read_bytes(folder.path("b")), "before");
        group.commit();
        EXPECT_EQ(test::read_bytes(folder.path("a")), "one");
        EXPECT_EQ(test::read_bytes(folder.path("b")), "two");
    }
    EXPECT_EQ(folder.files(), 2);
    write_file(folder.path("c"), "at once");
    EXPECT_EQ(test::read_bytes(folder.path("c")), "at once");
}

TEST(CommitGroup, WithoutCommitNothingIsLeft) {
    const test::temporary_folder folder;
    write_file(folder.path("b"), "before");
    try {
        commit_group group;
        write_file(folder.path("a"), "one");
        write_file(folder.path("b"), "two");
        throw std::bad_alloc();
    } catch (const std::bad_alloc&) {
    }
    EXPECT_EQ(test::read_bytes(folder.path("b")), "before");
    EXPECT_EQ(folder.files(), 1);
}

TEST(CommitGroup, WhatMustSurviveACrashAppearsAtOnce) {
    const test::temporary_folder folder;
    const commit_group held;
    {
        const commit_group at_once(false);
        write_file(folder.path("checkpoint"), "state");
        EXPECT_EQ(test::read_bytes(folder.path("checkpoint")), "state");
    }
    write_file(folder.path("a"), "one");
    EXPECT_FALSE(std::filesystem::exists(folder.path("a")));
}

} // namespace
} // namespace elbo::io
