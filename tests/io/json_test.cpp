// JSON: how braces are read, what is printed and parsed.
#include "elbo/error.hpp"
#include "host/io/model/json.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace elbo::io {
namespace {

std::string as_added(const json& value) {
    return json_text(value, key_order::as_added);
}

TEST(IoJson, BracesMakeObjectsAndLists) {
    EXPECT_EQ(json_text(json{}), "null");
    EXPECT_EQ(json_text({{"b", 1}, {"a", {1, 2}}}), R"({"a":[1,2],"b":1})");
    EXPECT_EQ(json_text({{"only", nullptr}}), R"({"only":null})");
    EXPECT_EQ(json_text({"b", 1}), R"(["b",1])");
    EXPECT_EQ(json_text({1, {"a", 2}}), R"([1,["a",2]])");
    EXPECT_EQ(json_text({{"in", {{"x", true}, {"y", "z"}}}}), R"({"in":{"x":true,"y":"z"}})");
    EXPECT_EQ(json_text(json(std::vector<std::string>{"a", "b"})), R"(["a","b"])");
    EXPECT_EQ(json_text(json(std::vector<double>{})), "[]");
    EXPECT_EQ(json_text(json(std::map<std::string, std::string>{{"k", "v"}})), R"({"k":"v"})");
}

TEST(IoJson, MembersKeepTheirOrderUnlessSorted) {
    json value;
    value["z"] = 1;
    value["a"] = json::array();
    value["m"] = {{"y", 1}, {"x", 2}};
    value["z"] = 3;
    EXPECT_EQ(as_added(value), R"({"z":3,"a":[],"m":{"y":1,"x":2}})");
    EXPECT_EQ(json_text(value), R"({"a":[],"m":{"x":2,"y":1},"z":3})");
    value.update({{"a", "new"}, {"last", 0}});
    value.erase("m");
    value.erase("none");
    EXPECT_EQ(as_added(value), R"({"z":3,"a":"new","last":0})");
    EXPECT_EQ(as_added(parse_json(R"({"b": 1, "a": {"d": 2, "c": 3}})", "f")), R"({"b":1,"a":{"d":2,"c":3}})");
}

TEST(IoJson, NumbersArePrintedSoThatTheyAreReadBack) {
    EXPECT_EQ(json_text({1.0, -0.0, 0.1, 1e-8, 1e300, 123456789012345680.0}),
              "[1.0,-0.0,0.1,1e-08,1e+300,1.2345678901234568e+17]");
    EXPECT_EQ(json_text({std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}),
              "[null,null]");
    EXPECT_EQ(json_text({std::int64_t(INT64_MIN), std::uint64_t(UINT64_MAX), 0.5f}),
              "[-9223372036854775808,18446744073709551615,0.5]");
    const json read = parse_json("[-9223372036854775808, 18446744073709551615, 7, 1.5, 18446744073709551616]", "f");
    EXPECT_EQ(read[0].get<std::int64_t>(), INT64_MIN);
    EXPECT_EQ(read[1].get<std::uint64_t>(), UINT64_MAX);
    EXPECT_EQ(read[1].get<double>(), 18446744073709551615.0);
    EXPECT_TRUE(read[2].is_number_unsigned());
    EXPECT_TRUE(read[3].is_number_float());
    EXPECT_EQ(read[4].get<double>(), 18446744073709551616.0);
}

TEST(IoJson, StringsAreEscapedAndMadeUtf8) {
    EXPECT_EQ(json_text("a\"\\\n\x01"), R"("a\"\\\n\u0001")");
    EXPECT_EQ(json_text("\xff"), "\"\xef\xbf\xbd\"");
    EXPECT_EQ(parse_json(R"("\u00e9\n")", "f").get<std::string>(), "\xc3\xa9\n");
}

TEST(IoJson, NumbersAreEqualWhateverTheirKind) {
    EXPECT_EQ(json(1), json(1u));
    EXPECT_EQ(json(1), json(1.0));
    EXPECT_NE(json(1), json("1"));
    EXPECT_NE(json(1), json(true));
    EXPECT_NE((json{{"a", 1}}), (json{{"b", 1}}));
    EXPECT_NE((json{1, 2}), (json{1, 3}));
}

TEST(IoJson, FaultsNameTheByte) {
    const auto message = [](std::string_view text) -> std::string {
        try {
            parse_json(text, "f", 100);
        } catch (const file_error& e) {
            return e.what();
        }
        return "";
    };
    EXPECT_NE(message(R"({"a": 1, "a": 2})").find("the key 'a' occurs twice"), std::string::npos);
    EXPECT_NE(message(R"([1, nan])").find("f: byte 105: malformed JSON: 'an]'"), std::string::npos);
    EXPECT_NE(message("[1,").find("f: byte 103: the JSON text ends here"), std::string::npos);
    EXPECT_NE(message("[1e999]").find("f: byte 100: malformed JSON"), std::string::npos);
    EXPECT_NE(message("1 2").find("malformed"), std::string::npos);
}

TEST(IoJson, NestingAsDeepAsTheTextIsLong) {
    constexpr int depth = 300000;
    const json lists = parse_json(std::string(depth, '[') + std::string(depth, ']'), "f");
    EXPECT_EQ(in_message(lists), "a list");
    std::string text;
    for (int i = 0; i < depth; ++i)
        text += R"({"a":)";
    EXPECT_EQ(in_message(parse_json(text + "1" + std::string(depth, '}'), "f")), "an object");
    EXPECT_THROW(parse_json(text, "f"), file_error);
}

} // namespace
} // namespace elbo::io
