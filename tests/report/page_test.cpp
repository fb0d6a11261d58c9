// The page as a whole: self-contained, with the parts that its data calls for.
#include "host/report/chart/charts.hpp"
#include "host/report/image/images.hpp"
#include "host/report/page/pages.hpp"

#include "elbo/error.hpp"

#include <gtest/gtest.h>
#include <png.h>

namespace {

using namespace elbo;

gmm::model two_components(std::int64_t d) {
    std::vector<double> means(2 * d, 0.0);
    for (std::int64_t j = 0; j < d; ++j)
        means[d + j] = 3;
    return gmm::model::from_covariances(gmm::family::spherical, d, {0.5, 0.5}, means, {1, 1});
}

report::mixture_page page_of(const gmm::model& m, std::int64_t points) {
    report::mixture_page p;
    p.title = "A <title> & more";
    p.model = &m;
    p.samples = 100;
    p.command = "elbo mixture fit 'my data.csv'";
    for (std::int64_t i = 0; i < points; ++i) {
        for (std::int64_t j = 0; j < m.dimensions(); ++j)
            p.points.rows.push_back(0.1 * static_cast<double>(i % 7) + static_cast<double>(i % 2));
        p.points.labels.push_back(static_cast<std::int32_t>(i % 2));
    }
    return p;
}

gmm::fit_result fit_of(const gmm::model& m) {
    gmm::fit_result fit{m};
    for (int t = 0; t < 5; ++t)
        fit.trace.push_back({t, -2 - 1.0 / (t + 1), -2 - 1.0 / (t + 1.5), 0.1, 0, 0.01 * t});
    fit.log_likelihood = -2.1;
    fit.events.push_back({3, 1, gmm::event::kind::empty, gmm::collapse_policy::reseed});
    return fit;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

TEST(ReportPage, NeedsNothingFromElsewhere) {
    for (const std::int64_t d : {1, 2, 5, 64}) {
        const gmm::model m = two_components(d);
        const std::string html = report::render(page_of(m, 20));
        for (const char* outside : {"src=\"http", "href=", "@import", "url(http", "<script"})
            EXPECT_FALSE(contains(html, outside)) << outside << " in a page of " << d << " dimensions";
        EXPECT_EQ(count(html, "<svg"), count(html, "</svg>"));
        EXPECT_FALSE(contains(html, "nan")) << "a coordinate is not a number";
        EXPECT_TRUE(contains(html, "A &lt;title&gt; &amp; more"));
        EXPECT_TRUE(contains(html, "elbo mixture fit 'my data.csv'"));
    }
}

TEST(ReportPage, HasThePartsThatTheDataCallsFor) {
    const gmm::model line = two_components(1), plane = two_components(2), image = two_components(64);
    EXPECT_TRUE(contains(report::render(page_of(line, 20)), "class=\"bin\""));
    EXPECT_TRUE(contains(report::render(page_of(plane, 20)), "class=\"contour\""));
    EXPECT_EQ(count(report::render(page_of(plane, 20)), "class=\"ellipse"), 4u); // one and two sigma, two components
    EXPECT_FALSE(contains(report::render(page_of(plane, 20)), "data:image/png"));
    EXPECT_EQ(count(report::render(page_of(image, 20)), "data:image/png"), 2u);
    EXPECT_TRUE(contains(report::render(page_of(image, 20)), "first principal component"));
}

TEST(ReportPage, ShowsAFitWithTraceAndEvents) {
    const gmm::model m = two_components(2);
    const gmm::fit_result fit = fit_of(m);
    report::mixture_page p = page_of(m, 20);
    EXPECT_FALSE(contains(report::render(p), "Convergence"));
    p.fit = &fit;
    const std::string html = report::render(p);
    EXPECT_TRUE(contains(html, "Convergence"));
    EXPECT_TRUE(contains(html, "ELBO after the M-step"));
    EXPECT_TRUE(contains(html, "<td>3</td><td>1</td><td>empty</td><td>reseed</td>"));
}

TEST(ReportPage, DrawsWhatAPriorMakesRise) {
    const gmm::model m = two_components(2);
    gmm::fit_result fit = fit_of(m);
    report::mixture_page p = page_of(m, 20);
    p.fit = &fit;
    EXPECT_TRUE(contains(report::render(p), "it never falls"));
    // The log-likelihood falls, the sum with the log prior is what it was.
    const std::string missing = report::convergence_chart(fit.trace);
    for (gmm::iteration_record& record : fit.trace) {
        const double prior = 0.5 * static_cast<double>(record.iteration);
        record.log_likelihood -= prior, record.log_prior = prior;
        record.elbo_after_m_step -= prior, record.log_prior_after = prior;
    }
    EXPECT_TRUE(contains(report::render(p), "log-likelihood + log prior"));
    EXPECT_TRUE(contains(report::render(p), "it never falls"));
    EXPECT_EQ(report::convergence_chart(fit.trace), missing);
    for (gmm::iteration_record& record : fit.trace)
        record.log_prior = record.log_prior_after = 0;
    EXPECT_FALSE(contains(report::render(p), "it never falls")) << "a curve that falls";
}

TEST(ReportPage, WorksWithoutPointsAndWithATraceOfOne) {
    const gmm::model m = two_components(2);
    gmm::fit_result fit = fit_of(m);
    fit.trace.resize(1);
    report::mixture_page p = page_of(m, 0);
    p.fit = &fit;
    EXPECT_TRUE(contains(report::render(p), "class=\"contour\""));
}

TEST(ReportPage, ShortensWhatIsLong) {
    constexpr std::int64_t k = 100, d = 10;
    const gmm::model m = gmm::model::from_covariances(gmm::family::spherical, d, std::vector<double>(k, 1.0 / k),
                                                      std::vector<double>(k * d, 1.0), std::vector<double>(k, 1.0));
    const std::string table = report::component_table(m, {});
    EXPECT_EQ(count(table, "<tr>"), 61u); // the head and 60 components
    EXPECT_TRUE(contains(table, "The first 6 of 10 columns."));
    EXPECT_TRUE(contains(table, "The first 60 of 100 components."));
}

TEST(ReportPage, RefusesPointsThatAreNotOfTheModel) {
    const gmm::model m = two_components(2);
    report::mixture_page p = page_of(m, 3);
    p.points.labels[1] = 2;
    EXPECT_THROW(report::render(p), invalid_argument);
    p.points.labels[1] = 0;
    p.points.rows.pop_back();
    EXPECT_THROW(report::render(p), invalid_argument);
}

std::string from_base64(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text.substr(0, text.find('='))) {
        bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
        if ((held += 6) >= 8)
            bytes += static_cast<char>(bits >> (held -= 8) & 0xff);
    }
    return bytes;
}

TEST(ReportPng, IsReadBackByLibpng) {
    constexpr std::string_view head = "data:image/png;base64,";
    for (const int width : {1, 2, 3, 28}) {
        std::vector<std::uint8_t> pixels(width * 5);
        for (std::size_t i = 0; i < pixels.size(); ++i)
            pixels[i] = static_cast<std::uint8_t>(i * 37);
        const std::string address = report::grey_image_address({pixels, width, 5});
        ASSERT_TRUE(address.starts_with(head));
        const std::string file = from_base64(std::string_view(address).substr(head.size()));
        png_image image{};
        image.version = PNG_IMAGE_VERSION;
        ASSERT_TRUE(png_image_begin_read_from_memory(&image, file.data(), file.size())) << image.message;
        EXPECT_EQ(image.format, static_cast<png_uint_32>(PNG_FORMAT_GRAY));
        ASSERT_EQ(image.width, static_cast<png_uint_32>(width));
        ASSERT_EQ(image.height, 5u);
        std::vector<std::uint8_t> read(pixels.size());
        ASSERT_TRUE(png_image_finish_read(&image, nullptr, read.data(), 0, nullptr)) << image.message;
        EXPECT_EQ(read, pixels);
    }
}

} // namespace
