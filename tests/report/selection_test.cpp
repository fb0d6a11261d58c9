// The page about a choice among mixtures.
#include "host/report/page/pages.hpp"

#include "elbo/error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace {

using namespace elbo;
using gmm::criterion;
using gmm::family;

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::int64_t count(const std::string& text, std::string_view part) {
    std::int64_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

gmm::select_cell cell(family shape, std::int64_t k, double value) {
    gmm::select_cell c{k, shape};
    c.fitted = true;
    c.components_left = k;
    c.bic = c.aic = c.icl = 100 * value;
    c.held_out = -value;
    c.held_out_error = 0.25;
    return c;
}

// Two families with two and three models; the chosen one is the second.
gmm::select_result result_of(criterion by) {
    gmm::select_result r{{gmm::model::from_covariances(family::full, 2, {1}, {0, 0}, {1, 0, 0, 1})}};
    r.table = {cell(family::full, 1, 3), cell(family::full, 2, 2), cell(family::tied, 1, 3), cell(family::tied, 2, 4),
               cell(family::tied, 9, 5)};
    r.table.back().fitted = false;
    r.table.back().error = "components = 9: expected <few>";
    r.chosen = 1;
    r.reason = "two & enough";
    r.by = by;
    return r;
}

TEST(SelectionChart, HasALineAFamilyAndRingsTheChoice) {
    const std::string chart = report::criterion_chart(result_of(criterion::bic), criterion::bic);
    EXPECT_EQ(count(chart, "class=\"curve\""), 2);
    EXPECT_EQ(count(chart, "class=\"ring\""), 1);
    EXPECT_EQ(count(chart, "class=\"error-bar\""), 0);
    EXPECT_TRUE(contains(chart, "BIC"));
    EXPECT_FALSE(contains(chart, "nan"));
}

TEST(SelectionChart, RingsOnlyWhatWasChosenBy) {
    EXPECT_FALSE(contains(report::criterion_chart(result_of(criterion::bic), criterion::aic), "class=\"ring\""));
}

TEST(SelectionChart, HeldOutValuesHaveErrorBars) {
    gmm::select_result r = result_of(criterion::validation);
    EXPECT_EQ(count(report::criterion_chart(r, criterion::validation), "class=\"error-bar\""), 2);
    // Without any value there is no chart.
    for (gmm::select_cell& c : r.table)
        c.held_out = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(report::criterion_chart(r, criterion::validation), "");
}

TEST(SelectionChart, ModelsFarFromTheBestDoNotSetTheScale) {
    gmm::select_result r = result_of(criterion::bic);
    EXPECT_TRUE(contains(report::criterion_chart(r, criterion::bic), ">400<")); // a label at the worst model's BIC
    r.table[3].bic = 1e6;
    EXPECT_FALSE(contains(report::criterion_chart(r, criterion::bic), "00000<"));
}

TEST(SelectionChart, TheErrorBarOfTheBestIsInView) {
    gmm::select_result r = result_of(criterion::validation);
    r.table = {cell(family::full, 1, 100), cell(family::full, 2, 2.1), cell(family::full, 3, 2)};
    r.table[2].held_out_error = 1;
    const std::string chart = report::criterion_chart(r, criterion::validation);
    // The frame begins at 16, and the bars are drawn by the number of components: its last number is the upper end.
    const std::size_t bar = chart.find("class=\"error-bar\""), end = chart.find("\"/>", bar);
    const double top = std::stod(chart.substr(chart.rfind('V', end) + 1));
    EXPECT_GT(top, 16);
    EXPECT_LT(top, 100);
}

TEST(SelectionChart, TheLegendNamesTheFamilies) {
    gmm::select_result r = result_of(criterion::bic);
    EXPECT_TRUE(contains(report::family_legend(r), "tied"));
    r.table.resize(2);
    EXPECT_EQ(report::family_legend(r), "");
}

TEST(SelectionTable, MarksTheChoiceAndKeepsTheReasons) {
    const std::string table = report::selection_table(result_of(criterion::bic));
    EXPECT_EQ(count(table, "<tr class=\"chosen\"><td>full</td><td>2</td>"), 1);
    EXPECT_EQ(count(table, "class=\"chosen\""), 1);
    EXPECT_TRUE(contains(table, "components = 9: expected &lt;few&gt;"));
    EXPECT_FALSE(contains(table, "held out"));
    gmm::select_result r = result_of(criterion::validation);
    r.table[0].held_out = std::numeric_limits<double>::quiet_NaN();
    r.table[0].error = "without the rows held out as set 0: failed";
    const std::string held_out = report::selection_table(r);
    EXPECT_TRUE(contains(held_out, "held out as set 0"));
    EXPECT_TRUE(contains(held_out, "-2.0000"));
    EXPECT_FALSE(contains(held_out, "nan"));
}

TEST(SelectionPage, IsOnePageAndChecksItsPoints) {
    const gmm::select_result r = result_of(criterion::cross_validation);
    report::mixture_page page;
    page.title = "A <choice>";
    page.model = &r.best.model;
    page.points = {{0, 0, 1, 1}, {0, 0}};
    page.samples = 2;
    const std::string html = report::render(page, r);
    EXPECT_EQ(count(html, "<svg xmlns"), 5); // four criteria, and the density
    EXPECT_EQ(count(html, "</html>"), 1);
    EXPECT_TRUE(contains(html, "A &lt;choice&gt;"));
    EXPECT_TRUE(contains(html, "two &amp; enough"));
    EXPECT_FALSE(contains(html, "http-equiv"));
    page.points.labels.back() = 1;
    EXPECT_THROW(report::render(page, r), invalid_argument);
}

} // namespace
