// Text tables: how they are understood, and what is said about those that are wrong.
#include "elbo/error.hpp"
#include "host/io/text/numbers.hpp"
#include "tests/support/io_files.hpp"

#include <clocale>
#include <cmath>
#include <limits>
#include <zlib.h>

namespace elbo::test {
namespace {

using numbers = std::vector<double>;
using names = std::vector<std::string>;

std::string gzipped(const std::string& text) {
    z_stream state{};
    EXPECT_EQ(deflateInit2(&state, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&state, text.size()) + 32, '\0');
    state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    state.avail_in = static_cast<uInt>(text.size());
    state.next_out = reinterpret_cast<Bytef*>(out.data());
    state.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&state, Z_FINISH), Z_STREAM_END);
    out.resize(state.total_out);
    deflateEnd(&state);
    return out;
}

class IoTextSource : public testing::Test {
protected:
    data_source open(const std::string& text, const file_options& options = {}, const std::string& name = "t.csv") {
        return data_source::file(folder.write(name, text), options);
    }
    // What is read from a text, and under which names.
    void expect_table(const std::string& text, const numbers& expected, const names& columns = {},
                      const file_options& options = {}) {
        const data_source source = open(text, options);
        EXPECT_EQ(all_numbers(source), expected) << text;
        EXPECT_EQ(source.column_names(), columns) << text;
    }
    void expect_fault(const std::string& text, std::initializer_list<std::string_view> parts,
                      const file_options& options = {}) {
        SCOPED_TRACE(text.substr(0, 200));
        expect_error<file_error>([&]() { open(text, options); }, parts);
    }
    temporary_folder folder;
};

TEST_F(IoTextSource, SeparatorsAreFound) {
    for (const std::string text :
         {"1,2.5,-3\n4,5,6e1\n", "1;2.5;-3\n4;5;6e1\n", "1\t2.5\t-3\n4\t5\t6e1\n", "1 2.5 -3\n4 5 6e1\n",
          "  1   2.5\t-3 \n 4 5    6e1\n", " 1, 2.5, -3\n 4,  5,6e1\n", "1,2.5,-3\r\n4,5,6e1\r\n", "1,2.5,-3\n4,5,6e1",
          "\xef\xbb\xbf"
          "1,2.5,-3\n4,5,6e1\n",
          "# comment, with commas, \"\n\n1,2.5,-3\n\n4,5,6e1\n\n", "+1,+2.5,-3\n4,5,+6e1\n",
          "\"1\",\"2.5\",-3\n4,\"5\",6e1\n"})
        expect_table(text, {1, 2.5, -3, 4, 5, 60});
    expect_table("7\n8\n9", {7, 8, 9});
}

TEST_F(IoTextSource, SeedsStyleRunsOfTabsAreBlanks) {
    expect_table("1\t2\t3\n4\t\t5\t6\n7\t8\t9\n", {1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_F(IoTextSource, HeadersAreFound) {
    expect_table("a,b\n1,2\n3,4\n", {1, 2, 3, 4}, {"a", "b"});
    expect_table("\"length, cm\";\"he said \"\"x\"\"\"\n1;2\n", {1, 2}, {"length, cm", "he said \"x\""});
    expect_table("\"two\nlines\",b\n1,2\n", {1, 2}, {"two\nlines", "b"});
    expect_table("x y\n1 2\n", {1, 2}, {"x", "y"});
    expect_table("single\n5.1\n", {5.1}, {"single"});
}

TEST_F(IoTextSource, RowNamesAreLeftOut) {
    expect_table("\"\",\"a\",\"b\"\n\"1\",1.5,2\n\"2\",3,4\n", {1.5, 2, 3, 4}, {"a", "b"}); // R's write.csv
    expect_table("\"a\" \"b\"\n\"1\" 1.5 2\n\"2\" 3 4\n", {1.5, 2, 3, 4}, {"a", "b"});      // R's write.table
    expect_table("rownames,a\n1,1.5\n2,3\n", {1.5, 3}, {"a"});                              // Rdatasets
    expect_table(",a,b\n0,1.5,2\n1,3,4\n", {1.5, 2, 3, 4}, {"a", "b"});                     // pandas
    expect_table(",0,1\n0,1.5,2\n1,3,4\n", {1.5, 2, 3, 4}, {"0", "1"});                     // pandas, no names
    expect_table("\"1\",1.5\n\"2\",3\n", {1.5, 3});
    expect_table("id,a\n1,1.5\n2,3\n", {1, 1.5, 2, 3}, {"id", "a"}); // a column like any other
    file_options options;
    options.columns = {"rownames"};
    expect_table("rownames,a\n1,1.5\n2,3\n", {1, 2}, {"rownames"}, options);
}

TEST_F(IoTextSource, TextColumnsAreLeftOut) {
    expect_table("x,kind,y\n1,setosa,2\n3,virginica,4\n", {1, 2, 3, 4}, {"x", "y"});
    expect_table("T,2,8\nI,5,12\n", {2, 8, 5, 12});
    expect_table("1,2,\n3,4,\n", {1, 2, 3, 4}); // a separator at the end of each line
    expect_table("a,\"x, y\",1\nb,\"say \"\"1,2\"\"\",2\n", {1, 2});
}

TEST_F(IoTextSource, ColumnsAreChosenByNameOrNumber) {
    const std::string text = "a,b,c\n1,2,3\n4,5,6\n";
    const auto with = [](names columns) {
        file_options options;
        options.columns = std::move(columns);
        return options;
    };
    expect_table(text, {3, 1, 6, 4}, {"c", "a"}, with({"c", "a"}));
    expect_table(text, {3, 2, 6, 5}, {"c", "b"}, with({"2", "b"}));
    expect_table("1,x,3\n4,y,6\n", {3, 6}, {}, with({"2"}));
    const auto fails = [&](const std::string& table, const names& columns,
                           std::initializer_list<std::string_view> parts) {
        expect_error<invalid_argument>([&]() { open(table, with(columns)); }, parts);
    };
    fails(text, {"d"}, {"t.csv", "no column 'd'", "'a', 'b', 'c'"});
    fails(text, {"3"}, {"no column '3'", "from 0 to 2"});
    fails(text, {"-1"}, {"no column '-1'"});
    fails(text, {"a", "0"}, {"'0' is listed twice"});
    fails("a,a\n1,2\n", {"a"}, {"two columns named 'a'"});
    expect_fault("x,kind\n1,setosa\n2,rosa\n", {"t.csv: line 2: column 2 ('kind')", "expected a number", "'setosa'"},
                 with({"kind"}));
}

TEST_F(IoTextSource, NotANumberAndInfinityAreNumbersHere) {
    const numbers read = all_numbers(open("a,b\n1,nan\n-inf,Infinity\nNaN,2\n"));
    EXPECT_TRUE(std::isnan(read[1]) && std::isnan(read[4]));
    EXPECT_EQ(read[2], -std::numeric_limits<double>::infinity());
    EXPECT_EQ(read[3], std::numeric_limits<double>::infinity());
}

TEST_F(IoTextSource, NumbersAreRoundedCorrectlyWhateverTheLocale) {
    const char* const previous = std::setlocale(LC_ALL, nullptr);
    const std::string restore = previous ? previous : "C";
    std::setlocale(LC_ALL, "de_DE.UTF-8"); // where it is not installed, nothing changes
    expect_table("0.1,1e-320,4.9e-324\n1.7976931348623157e308,9007199254740993.0,-0\n",
                 {0.1, 1e-320, 4.9e-324, 1.7976931348623157e308, 9007199254740992.0, -0.0});
    expect_table("1e-400,1\n", {0, 1});
    std::setlocale(LC_ALL, restore.c_str());
    file_options single;
    single.type = element_type::float32;
    const data_source source = open("0.1,1\n", single);
    EXPECT_EQ(source.type(), element_type::float32);
    EXPECT_EQ(all_numbers(source)[0], static_cast<double>(0.1f));
}

TEST_F(IoTextSource, FaultsNameLineColumnAndExpectation) {
    expect_fault("1,2\n3,4,5\n6,7\n", {"t.csv: line 2: expected 2 fields as in line 1, found 3"});
    expect_fault("a,b\n1,2\n\n3\n5,6\n", {"t.csv: line 4: expected 2 fields as in line 2, found 1"});
    expect_fault("1 2\n3 4\n5\n", {"line 3: expected 2 fields", "found 1"});
    expect_fault("1\t2\n3\t4\n5\t6\t7\n", {"line 3: expected 2 fields", "found 3"});
    expect_fault("a,b\n1,2\n3,abc\n", {"t.csv: line 3: column 2 ('b'): expected a number, found 'abc'"});
    expect_fault("1,2\n3,4x\n", {"line 2: column 2: expected a number, found '4x'"});
    expect_fault("1,2\n3,\n", {"line 2: column 2: expected a number, found ''"});
    expect_fault("1,2\nNA,4\n", {"line 2: column 1: expected a number, found 'NA'"});
    expect_fault("1,2\n3,4 5\n", {"line 2: column 2: expected a number, found '4 5'"});
    expect_fault("1,2\n3,+-4\n", {"line 2: column 2", "'+-4'"});
    expect_fault("1;2\n1,5;2\n", {"line 2: column 1: expected a number, found '1,5'"});
    expect_fault("1,2\n3,1e999\n", {"line 2: column 2: expected a number within the range of float64", "1e999"});
    expect_fault("1,2\n\"3\",\"4\n", {"line 2: a quote is opened and never closed"});
    expect_fault("a,b\n1,2,3\n", {"line 2", "expected 2 fields, one for each name in line 1, found 3"});
    expect_fault("x,\"y\nz\",w\n1,2,3\n4,5,?\n", {"line 4: column 3 ('w')", "'?'"}); // the header has two lines
    file_options single;
    single.type = element_type::float32;
    expect_fault("1,1e39\n", {"line 1: column 2: expected a number within the range of float32"}, single);
}

TEST_F(IoTextSource, FilesWithoutNumbers) {
    expect_fault("", {"line 1: expected at least one row of numbers, the file is empty"});
    expect_fault("\n\n# nothing\n", {"the file is empty"});
    expect_fault("a,b\n", {"line 1: expected at least one row of numbers after this header"});
    expect_fault("\"\",\"x\"\n\"1\",\"GW16\"\n", {"line 2: expected at least one column of numbers"});
}

TEST_F(IoTextSource, FilesThatAreNotText) {
    using namespace std::string_literals;
    expect_fault("\x93NUMPY\x01\x00"s,
                 {"t.csv: byte 0: expected a table of text, but this looks like a NumPy .npy file"});
    expect_fault("PK\x03\x04zzzz", {"a zip archive"});
    expect_fault(gzipped("1,2\n"), {"a gzip file"});
    expect_fault("\x89HDF\r\n\x1a\n", {"an HDF5 file"});
    expect_fault("\xff\xfe"
                 "1\0,\0"s,
                 {"UTF-16 text"});
    expect_fault("<!DOCTYPE html><html>", {"an HTML page"});
    expect_fault("1,2\n3,\x01\x02\n", {"an unknown binary file"});
    expect_error<file_error>([&]() { data_source::file(folder.path("missing.csv")); },
                             {"missing.csv: cannot open: No such file or directory"});
    std::filesystem::create_directory(folder.path("folder.csv"));
    expect_error<file_error>([&]() { data_source::file(folder.path("folder.csv")); }, {"folder.csv", "directory"});
    expect_error<file_error>([&]() { open("1,2\n", {}, "table.xls"); }, {"table.xls", ".csv", "looks like text"});
    file_options options;
    options.dataset = "x";
    expect_error<invalid_argument>([&]() { open("1,2\n", options); }, {"dataset = 'x'", "neither .h5 nor .npz"});
}

TEST_F(IoTextSource, CompressedText) {
    const std::string text = "a,b\n1,2\n3,4\n";
    EXPECT_EQ(all_numbers(open(gzipped(text), {}, "t.csv.gz")), (numbers{1, 2, 3, 4}));
    EXPECT_EQ(all_numbers(open(gzipped(text) + std::string(7, '\0'), {}, "padded.csv.gz")), (numbers{1, 2, 3, 4}));
    EXPECT_EQ(all_numbers(data_source::file(test_data("interop/two_members.csv.gz"))), (numbers{1, 2, 3, 4, 5, 6}));
    expect_error<file_error>([&]() { open(text, {}, "plain.csv.gz"); }, {"byte 0", "gzip", "looks like text"});
    const std::string whole = gzipped(text);
    for (std::size_t length = 0; length < whole.size(); ++length)
        expect_error<file_error>([&]() { open(whole.substr(0, length), {}, "cut.csv.gz"); },
                                 {"cut.csv.gz: byte " + std::to_string(length), "ends here"});
    std::string damaged = whole;
    damaged[whole.size() - 6] ^= 1; // in the checksum
    expect_error<file_error>([&]() { open(damaged, {}, "bad.csv.gz"); }, {"bad.csv.gz: byte", "incorrect data check"});
    expect_error<file_error>([&]() { open(whole + "garbage", {}, "more.csv.gz"); }, {"more.csv.gz: byte", "damaged"});
}

TEST_F(IoTextSource, LinesLongerThanABlockAndFilesLargerThanWhatIsKept) {
    // 1,000 columns make lines of 390 KB with blanks; the separator search and the buffer must cope.
    std::string wide;
    for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 1000; ++j)
            wide += (j > 0 ? "," : "") + std::string(380, ' ') + std::to_string(i * 1000 + j);
        wide += '\n';
    }
    const numbers read = all_numbers(open(wide));
    ASSERT_EQ(read.size(), 2000u);
    for (std::size_t i = 0; i < read.size(); ++i)
        ASSERT_EQ(read[i], static_cast<double>(i));
    // Not kept: parsed anew in each pass.
    std::string tall = "a,b,c\n";
    for (int i = 0; i < 300'000; ++i)
        tall += std::to_string(i % 10) + ",2,3\n";
    file_options options;
    options.keep = 1 << 20;
    const data_source streamed = open(tall, options);
    EXPECT_FALSE(streamed.contiguous());
    EXPECT_EQ(streamed.rows(), 300'000);
    for (const std::int64_t batch : {99'983, 400'000}) {
        const auto reader = streamed.read(batch);
        std::int64_t row = 0;
        double faults = 0;
        for (any_matrix_view view = reader->next(); view.rows > 0; view = reader->next())
            for (std::int64_t i = 0; i < view.rows; ++i, ++row)
                faults += view.as<double>()(i, 0) != static_cast<double>(row % 10) || view.as<double>()(i, 2) != 3;
        EXPECT_EQ(row, 300'000);
        EXPECT_EQ(faults, 0);
    }
    folder.write("t.csv", "a,b,c\n1,2,3\n");
    expect_error<file_error>([&]() { streamed.read(2)->next(); }, {"t.csv", "the file has changed", "row 1"});
}

TEST_F(IoTextSource, RealFiles) {
    const data_source faithful = data_source::file(test_data("faithful.csv"));
    EXPECT_EQ(faithful.rows(), 272);
    EXPECT_EQ(faithful.column_names(), (names{"eruptions", "waiting"}));
    EXPECT_EQ(data_source::file(test_data("iris.csv")).cols(), 4);
    EXPECT_EQ(data_source::file(test_data("galaxies.csv")).cols(), 1);
    const data_source digits = data_source::file(test_data("optdigits.tes"));
    EXPECT_EQ(digits.rows(), 1797);
    EXPECT_EQ(digits.cols(), 65);
    double waiting = 0;
    const numbers read = all_numbers(faithful, 100);
    for (std::size_t i = 1; i < read.size(); i += 2)
        waiting += read[i];
    EXPECT_EQ(waiting, 19284); // 272 x 70.8971 whole minutes, exact in any order
}

} // namespace
} // namespace elbo::test
