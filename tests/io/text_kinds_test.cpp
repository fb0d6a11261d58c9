// Text tables as people write them: numbers that are none, headers of numbers, missing values, other separators.
#include "elbo/error.hpp"
#include "host/io/text/numbers.hpp"
#include "tests/support/io_files.hpp"

#include <cmath>

namespace elbo::test {
namespace {

using numbers = std::vector<double>;
using names = std::vector<std::string>;

class IoTextKinds : public testing::Test {
protected:
    data_source open(const std::string& text, const file_options& options = {}) {
        return data_source::file(folder.write("t.csv", text), options);
    }
    void expect_table(const std::string& text, const numbers& expected, const names& columns = {},
                      const file_options& options = {}) {
        SCOPED_TRACE(text.substr(0, 200));
        const data_source source = open(text, options);
        EXPECT_EQ(all_numbers(source), expected);
        EXPECT_EQ(source.column_names(), columns);
    }
    void expect_fault(const std::string& text, std::initializer_list<std::string_view> parts,
                      const file_options& options = {}) {
        SCOPED_TRACE(text.substr(0, 200));
        expect_error<file_error>([&]() { open(text, options); }, parts);
    }
    static file_options with_header(header_row header) {
        file_options options;
        options.header = header;
        return options;
    }
    static file_options with_missing(names missing) {
        file_options options;
        options.missing = std::move(missing);
        return options;
    }
    static file_options with_decimal_comma(char delimiter = 0) {
        file_options options;
        options.decimal_comma = true;
        options.delimiter = delimiter;
        return options;
    }
    temporary_folder folder;
};

// Numbers that are none ----------------------------------------------------------------------------------------------

TEST_F(IoTextKinds, AColumnOfNumbersForPeopleIsAFaultAndNeverLeftOut) {
    struct kind {
        std::string text, advice;
    };
    const std::vector<kind> kinds = {{"1,71", "--decimal-comma"}, {"12,345", "thousands"}, {"1,234,567", "thousands"},
                                     {"1.234.567", "thousands"},  {"1'234", "thousands"},  {"1 234 567", "thousands"},
                                     {"1\u00a0234", "thousands"}, {"1_000", "thousands"},  {"1,234.50", "thousands"},
                                     {"45%", "percent"},          {"4.5 %", "percent"},    {"$5.20", "currency"},
                                     {"7 €", "currency"},         {"−5.5", "minus"},       {"(12.5)", "minus"},
                                     {"'5.1'", "quotes"},         {"12kg", "unit"},        {"5.3 cm", "unit"}};
    for (const kind& k : kinds) {
        const std::string row = ";\"" + k.text + "\"\n";
        expect_fault("a;b\n1" + row + "2" + row + "3" + row,
                     {"t.csv: line 2: column 2 ('b'): expected a number, found '" + k.text + "'", k.advice});
        expect_fault("1" + row + "2" + row, {"line 1: column 2: expected a number", k.advice}); // without a header
        if (k.advice != "unit") // which a name may look like
            expect_fault(row.substr(1) + row.substr(1), {"line 1: column 1: expected a number", k.advice});
    }
}

TEST_F(IoTextKinds, ADamagedFirstRowIsNoHeader) {
    expect_fault("1,5;2,5\n1;2\n3;4\n", {"line 1: column 1: expected a number, found '1,5'"});
    expect_fault("NA,NA\n1,2\n", {"line 1: column 1: expected a number, found 'NA'", "missing values"});
    expect_fault("id,2019,2020\n1,2,3\n4,5,6\n", {"line 1: column 1: expected a number, found 'id'", "--header yes"});
}

TEST_F(IoTextKinds, TextThatIsNoNumberIsLeftOutWithTheReason) {
    const data_source source = open("x,day,code,note,y\n1,2020-01-01,3D,,2\n3,2020-01-02,4E,see below,4\n");
    EXPECT_EQ(source.column_names(), (names{"x", "y"}));
    ASSERT_EQ(source.left_out().size(), 3u);
    EXPECT_EQ(source.left_out()[0].number, 1);
    EXPECT_EQ(source.left_out()[0].name, "day");
    EXPECT_EQ(source.left_out()[0].reason, "text, as '2020-01-01' in line 2");
    EXPECT_EQ(source.left_out()[2].reason, "text, as 'see below' in line 3");
    EXPECT_EQ(open("rownames,a\n1,1.5\n2,3\n").left_out()[0].reason, "the names of the rows");
    EXPECT_EQ(open("a,b\n1,\n2,\n").left_out()[0].reason, "without a value");
    EXPECT_EQ(open("a,b\n1,NA\n2,NA\n").left_out()[0].reason, "without a value");
    EXPECT_TRUE(open("1,2,\n3,4,\n").left_out().empty()) << "a separator at the end of each line makes no column";
    file_options chosen;
    chosen.columns = {"x"};
    EXPECT_TRUE(open("x,day\n1,monday\n", chosen).left_out().empty()) << "nothing is left out of what was chosen";
}

TEST_F(IoTextKinds, StrictRefusesToLeaveOut) {
    file_options strict;
    strict.strict = true;
    expect_fault("x,day\n1,monday\n2,friday\n", {"strict", "column 2 ('day')", "text, as 'monday' in line 2"}, strict);
    expect_fault(",a\n0,1\n1,2\n", {"strict", "column 1", "names of the rows"}, strict);
    expect_table("x,y\n1,2\n3,4\n", {1, 2, 3, 4}, {"x", "y"}, strict);
    strict.columns = {"x"};
    expect_table("x,day\n1,monday\n2,friday\n", {1, 2}, {"x"}, strict);
}

TEST_F(IoTextKinds, ColumnsWithoutValuesAtFirstMustHaveNoneLater) {
    std::string late = "a,b\n", padded;
    for (int i = 0; i < 300; ++i) {
        late += "1,NA\n";
        padded += "1,2,\n";
    }
    EXPECT_EQ(open(late).cols(), 1);
    EXPECT_EQ(open(padded).cols(), 2);
    expect_fault(late + "1,5\n", {"line 302: column 2 ('b'): expected no value", "found '5'", "--columns"});
    expect_fault(padded + "1,2,3\n", {"line 301: column 3: expected nothing after the last separator", "'3'"});
}

TEST_F(IoTextKinds, ExponentsAsFortranWritesThem) {
    expect_table("x,y\n1,1.5D+00\n2,2.5d+01\n5,-1.0D-1\n7,1d5\n", {1, 1.5, 2, 25, 5, -0.1, 7, 1e5}, {"x", "y"});
    expect_fault("1,2\n3,4d\n", {"'4d'"});
    expect_fault("1,2\n3,1d5d5\n", {"'1d5d5'"});
    expect_fault("1,2\n3,4D999\n", {"within the range of float64"});
    double value = 0;
    for (const char* text : {"d5", "nand", "infd", "1e5d3", "1.5D+", "d", "", "+-1", "1..5", "0x10", "1e"})
        EXPECT_EQ(io::parse_number(text, value), io::number_status::not_a_number) << text;
}

TEST_F(IoTextKinds, DecimalCommas) {
    const std::string height = "id;height;age\n1;1,71;33\n2;1,82;41\n";
    expect_table(height, {1, 1.71, 33, 2, 1.82, 41}, {"id", "height", "age"}, with_decimal_comma());
    expect_table("1,5 2,5\n3,5 4\n", {1.5, 2.5, 3.5, 4}, {}, with_decimal_comma());
    expect_table("height\n1,71\n1,82\n", {1.71, 1.82}, {"height"}, with_decimal_comma());
    expect_table("\"1,5\"|2\n\"2,5\"|3\n", {1.5, 2, 2.5, 3}, {}, with_decimal_comma());
    expect_fault("1,5;2\n1.5;3\n", {"line 2: column 1: expected a number, found '1.5'"}, with_decimal_comma());
    expect_fault("1,5;2\n1.234,5;3\n", {"'1.234,5'"}, with_decimal_comma());
    expect_fault("1,5;2\n1,2,3;3\n", {"'1,2,3'"}, with_decimal_comma());
}

// Layout -------------------------------------------------------------------------------------------------------------

TEST_F(IoTextKinds, DelimitersByThemselvesAndAsGiven) {
    expect_table("1|2.5|-3\n4|5|6\n", {1, 2.5, -3, 4, 5, 6});
    expect_table("1 | 2\n3 | 4\n", {1, 2, 3, 4});
    file_options given;
    given.delimiter = ':';
    expect_table("a:b\n1:2\n3:4\n", {1, 2, 3, 4}, {"a", "b"}, given);
    given.delimiter = ' ';
    expect_table("1   2\n 3\t4 \n", {1, 2, 3, 4}, {}, given);
    given.delimiter = ',';
    expect_fault("1;2\n3;4\n", {"column 1 ('1;2') would be left out: text, as '3;4' in line 2"}, given);
    for (const char wrong : {'.', '-', '5', 'e', '"', '\n', '#'}) {
        given.delimiter = wrong;
        expect_error<invalid_argument>([&] { open("1,2\n", given); }, {"delimiter"});
    }
    expect_error<invalid_argument>([&] { open("1,2\n", with_decimal_comma(',')); },
                                   {"delimiter = ','", "decimal_comma"});
}

TEST_F(IoTextKinds, SeparatorsAtTheEndOfLines) {
    expect_table("1,2,\n3,4,\n", {1, 2, 3, 4});
    expect_table("a,b,\n1,2,\n3,4,\n", {1, 2, 3, 4}, {"a", "b"});
    expect_table("a,b\n1,2,\n2,4,\n3,4,\n", {1, 2, 2, 4, 3, 4}, {"a", "b"}); // counts, and yet no names of rows
    expect_table("a,b,\n1,2\n3,4\n", {1, 2, 3, 4}, {"a", "b"});
    expect_fault("1,2,\n3,4\n", {"line 2: expected 3 fields as in line 1, found 2"});
}

TEST_F(IoTextKinds, CarriageReturnsEndLines) {
    const numbers expected = {1, 2, 3, 4};
    expect_table("a,b\r1,2\r3,4\r", expected, {"a", "b"});
    expect_table("a,b\r1,2\r3,4", expected, {"a", "b"});
    expect_table("# note, \"\r1,2\r\r3,4\r", expected);
    expect_table("\"a\rb\",c\r1,2\r3,4\r", expected, {"a\rb", "c"});
    expect_table("1,2\r\r\n3,4\r\r\n", expected); // line ends of Windows, doubled
    expect_table("\r\n1,2\r\n3,4\r\n", expected);
    expect_table("\xef\xbb\xbf"
                 "1,2\r3,4\r",
                 expected);
    expect_fault("1,2\n3,4\r5,6\n", {"line 2: expected 2 fields as in line 1, found 3"}); // of both kinds
    expect_fault("1,2\r3,x\r", {"line 2: column 2: expected a number, found 'x'"});
    std::string large = "x,y\r";
    for (int i = 0; i < 100'000; ++i)
        large += "1,2\r";
    EXPECT_EQ(open(large).rows(), 100'000);
    EXPECT_EQ(open(std::string(300'000, '\r') + "5\r").rows(), 1); // more blank lines than a block
    const data_source real = data_source::file(test_data("failing/09_cr.csv"));
    EXPECT_EQ(real.rows(), 50);
    EXPECT_EQ(real.column_names(), (names{"x", "y"}));
}

TEST_F(IoTextKinds, OtherEncodingsAreNamed) {
    using namespace std::string_literals;
    expect_fault("\xff\xfe"
                 "1\0,\0"s,
                 {"UTF-16 text", "iconv"});
    expect_fault("\xfe\xff\0001\0,"s, {"UTF-16 text", "iconv"});
    expect_table("\xef\xbb\xbf\"a\",b\n1,2\n", {1, 2}, {"a", "b"});
}

// Headers ------------------------------------------------------------------------------------------------------------

TEST_F(IoTextKinds, HeadersOfNumbersAsPandasWritesThem) {
    const data_source pandas = data_source::file(test_data("failing/04_pandas_header.csv"));
    EXPECT_EQ(pandas.rows(), 200);
    EXPECT_EQ(pandas.column_names(), (names{"0", "1", "2"}));
    ASSERT_EQ(pandas.remarks().size(), 1u);
    EXPECT_NE(pandas.remarks()[0].find("--header no"), std::string::npos);
    file_options no = with_header(header_row::no);
    EXPECT_EQ(data_source::file(test_data("failing/04_pandas_header.csv"), no).rows(), 201);
    expect_table("0,1\n0.5,1.5\n2.5,3.5\n", {0.5, 1.5, 2.5, 3.5}, {"0", "1"});
    expect_table("1,2\n0.5,7\n2.5,8\n", {0.5, 7, 2.5, 8}, {"1", "2"});             // a column of whole numbers beside
    expect_table("\"2019\",\"2020\"\n1,2\n3,4\n", {1, 2, 3, 4}, {"2019", "2020"}); // R
    std::string one = "0\n", ten = "0,1,2,3,4,5,6,7,8,9\n";
    for (int i = 0; i < 20; ++i)
        one += "1.5\n";
    for (int i = 0; i < 3; ++i)
        ten += "1,1,1,1,1,1,1,1,1,1\n";
    EXPECT_EQ(open(one).rows(), 20);
    EXPECT_EQ(open(ten).rows(), 3);
}

TEST_F(IoTextKinds, HeadersOfNamesAndNumbers) {
    const data_source years = open("land,2019,2020\nAT,1.5,2.5\nBE,3.5,4.0\n");
    EXPECT_EQ(years.rows(), 2);
    EXPECT_EQ(years.column_names(), (names{"2019", "2020"}));
    ASSERT_EQ(years.remarks().size(), 1u);
    EXPECT_NE(years.remarks()[0].find("--header no"), std::string::npos);
    expect_table("id,2019,2020\n1,1.5,2.5\n2,3.5,4.0\n", {1, 1.5, 2.5, 2, 3.5, 4}, {"id", "2019", "2020"});
    EXPECT_EQ(open("land,2019,2020\nAT,1.5,2.5\nBE,3.5,4.0\n", with_header(header_row::no)).rows(), 3);
    EXPECT_EQ(open("AT,3,4\nBE,1.5,2.5\nCH,3.5,4\n").rows(), 3);   // points are left out here
    EXPECT_EQ(open("AT,4,3\nBE,1.5,2.5\nCH,3.5,4.5\n").rows(), 3); // names of columns would rise
    EXPECT_EQ(open("AT,3\nBE,1.5\nCH,3.5\n").rows(), 3);           // one number alone tells nothing
    expect_fault("NA,3,4\n1.5,1.5,2.5\n2.5,3.5,4.5\n", {"line 1: column 1: expected a number, found 'NA'"});
}

TEST_F(IoTextKinds, RowsOfDataThatLookLikeSuchHeaders) {
    expect_table("0,1\n0.5,1.5\n1,2.5\n", {0, 1, 0.5, 1.5, 1, 2.5});    // points are left out here
    expect_table("0,1,2\n1,2,3\n3,4,0\n", {0, 1, 2, 1, 2, 3, 3, 4, 0}); // triangles of a mesh
    expect_table("0,1\n0.5,1.5\n", {0, 1, 0.5, 1.5});                   // too few rows to tell
    expect_table("0,2\n0.5,1.5\n2.5,3.5\n", {0, 2, 0.5, 1.5, 2.5, 3.5});
    expect_table("0.0,1.0\n0.5,1.5\n2.5,3.5\n", {0, 1, 0.5, 1.5, 2.5, 3.5});
    expect_table("0\n0.5\n1.5\n", {0, 0.5, 1.5});
    EXPECT_TRUE(open("0,1,2\n1,2,3\n3,4,0\n").remarks().empty());
}

TEST_F(IoTextKinds, HeadersAsTheyAreSaidToBe) {
    expect_table("0,1,2\n1,2,3\n", {1, 2, 3}, {"0", "1", "2"}, with_header(header_row::yes));
    expect_table("5.1,3.5\n1,2\n", {1, 2}, {"5.1", "3.5"}, with_header(header_row::yes));
    expect_table("1,2\n3,4\n", {1, 2, 3, 4}, {}, with_header(header_row::no));
    expect_fault("a,b\n1,2\n3,4\n", {"line 1: column 1: expected a number, found 'a'"}, with_header(header_row::no));
    expect_fault("1,2\n", {"at least one row of numbers after this header"}, with_header(header_row::yes));
    expect_table("a,a,\n1,2,3\n", {1, 2, 3}, {"a", "a", ""}, with_header(header_row::yes));
}

// Values -------------------------------------------------------------------------------------------------------------

TEST_F(IoTextKinds, MissingValuesAreNamed) {
    for (const std::string marker : {"NA", "N/A", "n/a", "", "null", "None", "?", "-", ".", "#N/A", "<NA>", "\\N"}) {
        EXPECT_TRUE(io::is_missing_value(marker)) << marker;
        expect_fault("a,b\n1,2\n3," + marker + "\n",
                     {"line 3: column 2 ('b'): expected a number, found '" + marker + "'", "missing values"});
    }
    expect_fault("a,b\n1,2\n-999,4\n", {"line 3: column 1 ('a'): expected a value, found '-999'", "missing values"},
                 with_missing({"x", "-999"}));
    expect_fault("a,b\n1,2\n-999.0,4\n", {"line 3: column 1 ('a')", "'-999.0'"}, with_missing({"-999"}));
    expect_fault("a,b\n1,2\nunknown,4\n", {"line 3: column 1 ('a')", "'unknown'", "missing values"},
                 with_missing({"unknown"}));
    expect_table("a,b\n1,unknown\n2,unknown\n", {1, 2}, {"a"}, with_missing({"unknown"})); // without a value
    expect_table("1,2\n-99,4\n", {1, 2, -99, 4}, {}, with_missing({"-999", "9"}));
}

TEST_F(IoTextKinds, WholeNumbersThatFloat64CannotHoldAreRefused) {
    expect_table("1,9007199254740992\n2,-9007199254740992\n", {1, 0x1p53, 2, -0x1p53});
    expect_table("1,0009007199254740991\n", {1, 0x1p53 - 1});
    for (const std::string large :
         {"9007199254740993", "-9007199254740993", "12345678901234567890", "+9007199254740994", "1700000000000000000"})
        expect_fault("id,x\n1,2\n" + large + ",4\n",
                     {"line 3: column 1 ('id'): expected a whole number up to 2^53", "'" + large + "'"});
    expect_table("1e300,1.7e18\n1e16,9007199254740993.0\n", {1e300, 1.7e18, 1e16, 0x1p53}); // no whole numbers as text
    file_options without;
    without.columns = {"x"};
    expect_table("id,x\n9007199254740993,2\n", {2}, {"x"}, without);
}

TEST_F(IoTextKinds, NearNumbersAreToldFromOtherText) {
    for (const char* text : {"1",   "-2.5e3", "nan", "abc",   "2020-01-01", "12:30",    "1.2.3", "192.168.0.1",
                             "a1",  "",       "-",   "1,2,3", "12,34,567",  "555-1234", "3D7",   ",",
                             "1 2", "%",      "$",   "()",    "''",         "12Jan2020"})
        EXPECT_FALSE(io::find_near_number(text)) << text;
    EXPECT_EQ(io::find_near_number("12kg")->unit, "kg");
    EXPECT_EQ(io::find_near_number("-5 °C")->unit, "°C");
}

TEST_F(IoTextKinds, TheFailingFiles) {
    EXPECT_EQ(all_numbers(data_source::file(test_data("failing/02_d_exponent.csv"))), (numbers{1, 1.5, 2, 2.5, 5, 10}));
    expect_error<file_error>([] { data_source::file(test_data("failing/02_decimal_comma.csv")); },
                             {"line 2: column 2 ('height')", "'1,71'", "--decimal-comma"});
    expect_error<file_error>([] { data_source::file(test_data("failing/02_thousands.csv")); },
                             {"line 2: column 2 ('income')", "'12,345'", "thousands"});
    const data_source height = data_source::file(test_data("failing/02_decimal_comma.csv"), with_decimal_comma());
    EXPECT_EQ(all_numbers(height)[1], 1.71);
}

} // namespace
} // namespace elbo::test
