// The columns of data, found by the names of a model's.
#include "elbo/error.hpp"
#include "tests/support/io_files.hpp"

namespace elbo::test {
namespace {

using numbers = std::vector<double>;
using names = std::vector<std::string>;

TEST(IoMatchColumns, OrderAndChoiceAreThoseOfTheModel) {
    const temporary_folder folder;
    const data_source data = data_source::file(folder.write("t.csv", "x,kind,y,z\n1,a,2,3\n4,b,5,6\n"));
    const data_source matched = match_columns(data, {"z", "x"});
    EXPECT_EQ(matched.column_names(), (names{"z", "x"}));
    EXPECT_EQ(all_numbers(matched, 1), (numbers{3, 1, 6, 4}));
    EXPECT_TRUE(matched.contiguous());
    EXPECT_EQ(matched.left_out().size(), 1u);
    EXPECT_EQ(match_columns(data, {"x", "y", "z"}).shared(), data.shared()) << "nothing to change";
}

TEST(IoMatchColumns, WithoutNamesColumnsGoByPosition) {
    const temporary_folder folder;
    const data_source unnamed = data_source::file(folder.write("u.csv", "1,2\n3,4\n"));
    EXPECT_EQ(match_columns(unnamed, {"b", "a"}).shared(), unnamed.shared());
    const data_source named = data_source::file(folder.write("n.csv", "a,b\n1,2\n"));
    EXPECT_EQ(match_columns(named, {}).shared(), named.shared());
    const float x[] = {1, 2};
    EXPECT_EQ(match_columns(matrix_view<const float>(x, 1, 2), {"a", "b"}).cols(), 2);
}

TEST(IoMatchColumns, MissingAndAmbiguousNamesAreErrors) {
    const temporary_folder folder;
    const data_source data = data_source::file(folder.write("t.csv", "a,b,a\n1,2,3\n"));
    expect_error<invalid_argument>(
        [&] {
            match_columns(data, {"b", "c"}, "m.safetensors");
        },
        {"t.csv has no column 'c'", "m.safetensors", "'a', 'b', 'a'"});
    expect_error<invalid_argument>([&] { match_columns(data, {"a", "b"}); }, {"two columns named 'a'", "the model"});
    expect_error<invalid_argument>([&] { match_columns(data, {"0"}); }, {"no column '0'"}); // a name, not a number
    const data_source one = data_source::file(folder.write("one.csv", "b,c\n1,2\n"));
    expect_error<invalid_argument>(
        [&] {
            match_columns(one, {"b", "b"}, "m.safetensors");
        },
        {"m.safetensors has two columns named 'b'", "one.csv has one"});
}

TEST(IoMatchColumns, NumbersThatAreNotKeptAreRearrangedBatchByBatch) {
    const temporary_folder folder;
    std::string text = "a,b,c\n";
    for (int i = 0; i < 300'000; ++i)
        text += std::to_string(i % 10) + ",2,3\n";
    const data_source data = data_source::file(folder.write("t.csv", text), {.keep = 0});
    ASSERT_FALSE(data.contiguous());
    const data_source matched = match_columns(data, {"b", "a"});
    const auto reader = matched.read(100'003);
    std::int64_t row = 0, faults = 0;
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next())
        for (std::int64_t i = 0; i < batch.rows; ++i, ++row)
            faults += batch.as<double>()(i, 0) != 2 || batch.as<double>()(i, 1) != static_cast<double>(row % 10);
    EXPECT_EQ(row, 300'000);
    EXPECT_EQ(faults, 0);
}

} // namespace
} // namespace elbo::test
