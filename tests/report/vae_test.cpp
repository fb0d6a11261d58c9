// The page about a variational autoencoder, and the grids of images.
#include "host/report/chart/charts.hpp"
#include "host/report/image/images.hpp"
#include "host/report/page/pages.hpp"

#include "elbo/error.hpp"

#include <gtest/gtest.h>

namespace {

using namespace elbo;

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

vae::model model_of(std::int64_t dimensions, std::int64_t latent) {
    return vae::model(vae::architecture{.dimensions = dimensions, .latent = latent, .encoder = {3}, .decoder = {3}});
}

// A page of `rows` rows with everything that a training has.
report::vae_page page_of(const vae::model& m, std::int64_t rows, std::int64_t epochs) {
    const std::int64_t d = m.architecture().dimensions, latent = m.architecture().latent;
    report::vae_page p;
    p.title = "A <title> & more";
    p.model = &m;
    p.image = report::square_of(d);
    for (std::int64_t i = 0; i < rows * d; ++i)
        p.pictures.originals.push_back(0.01f * static_cast<float>(i % 100));
    p.pictures.samples = p.pictures.reconstructions = p.pictures.originals;
    for (std::int64_t i = 0; i < rows * latent; ++i) {
        p.latents.mean.push_back(0.1 * static_cast<double>(i % 13));
        p.latents.deviation.push_back(0.5);
    }
    for (std::int64_t i = 0; i < rows; ++i)
        p.latents.labels.push_back(static_cast<double>(i % 3));
    for (std::int64_t e = 1; e <= epochs; ++e) {
        vae::epoch_record r;
        r.epoch = e;
        r.train_elbo = -10 + 0.1 * static_cast<double>(e);
        r.validation_elbo = r.train_elbo - 0.5;
        p.history.push_back(r);
    }
    p.evaluated = vae::evaluation{};
    p.evaluated->kl_per_unit.assign(latent, 0.5);
    p.evaluated->unit_activity.assign(latent, 0.02);
    return p;
}

TEST(ReportVae, HasThePartsThatTheDataCallsFor) {
    const vae::model image = model_of(25, 4), table = model_of(3, 1);
    const std::string pictures = report::render(page_of(image, 30, 5));
    for (const char* part : {"<h2>Samples</h2>", "<h2>Reconstructions</h2>", "data:image/png",
                             "Evidence lower bound against", "KL divergence of each latent unit", "mean of latent unit",
                             "coloured by label", "encoder.0", "A &lt;title&gt; &amp; more", ">validation</text>"})
        EXPECT_TRUE(contains(pictures, part)) << part;
    const std::string points = report::render(page_of(table, 30, 5));
    EXPECT_TRUE(contains(points, "Data and samples"));
    EXPECT_TRUE(contains(points, "standard deviation of latent unit 0"));
    EXPECT_FALSE(contains(points, "data:image/png"));
}

TEST(ReportVae, NeedsNothingFromElsewhere) {
    for (const std::int64_t d : {1, 2, 64}) {
        const vae::model m = model_of(d, 2);
        const std::string html = report::render(page_of(m, 20, 1));
        for (const char* outside : {"src=\"http", "href=", "@import", "url(http", "<script", "nan"})
            EXPECT_FALSE(contains(html, outside)) << outside << " in a page of " << d << " dimensions";
    }
}

TEST(ReportVae, LeavesOutWhatIsNotThere) {
    const vae::model m = model_of(64, 2);
    report::vae_page p;
    p.model = &m;
    const std::string html = report::render(p);
    EXPECT_FALSE(contains(html, "<h2>Samples</h2>"));
    EXPECT_FALSE(contains(html, "<svg"));
    EXPECT_TRUE(contains(html, "<h2>Network</h2>"));
}

TEST(ReportVae, RefusesWhatDoesNotFitTheModel) {
    const vae::model m = model_of(64, 2);
    const auto refused = [&](auto change) {
        report::vae_page p = page_of(m, 5, 1);
        change(p);
        EXPECT_THROW(report::render(p), invalid_argument);
    };
    refused([](report::vae_page& p) { p.pictures.samples.pop_back(); });
    refused([](report::vae_page& p) { p.pictures.reconstructions.clear(); });
    refused([](report::vae_page& p) { p.latents.mean.pop_back(); });
    refused([](report::vae_page& p) { p.latents.labels.pop_back(); });
    refused([](report::vae_page& p) { p.image = report::image_size{4, 15}; });
}

TEST(ImageGrid, KnowsSquares) {
    EXPECT_EQ(report::square_of(784)->width, 28);
    EXPECT_FALSE(report::square_of(65));
    EXPECT_FALSE(report::square_of(4)) << "four columns are no image";
}

TEST(ImageGrid, ChoosesShadesThatOutliersDoNotChange) {
    std::vector<float> values(1000, 0.5f);
    values[0] = 50;
    EXPECT_EQ(report::shades_of(values).high, 1);
    values.assign(1000, 4.0f);
    values[1] = values[2] = 0;
    std::fill(values.begin() + 100, values.begin() + 200, -2.0f);
    EXPECT_EQ(report::shades_of(values).low, -2);
    EXPECT_EQ(report::shades_of(values).high, 4);
    EXPECT_GT(report::shades_of(std::vector<float>(5, 7.0f)).width(), 0);
}

TEST(ImageGrid, TilesImagesInRows) {
    // Three images of 28 x 28, enlarged twice: black, white, half.
    std::vector<float> images(3 * 784, 1.0f);
    std::fill(images.begin() + 784, images.begin() + 2 * 784, 0.0f);
    std::fill(images.begin() + 2 * 784, images.end(), 0.5f);
    const report::grey_image picture = report::tile(images, {28, 28}, 2, {0, 1});
    ASSERT_EQ(picture.width, 2 * 56 + 4);
    ASSERT_EQ(picture.height, 2 * 56 + 4);
    const auto at = [&](int x, int y) { return picture.pixels[y * picture.width + x]; };
    EXPECT_EQ(at(0, 0), 0);
    EXPECT_EQ(at(55, 55), 0);
    EXPECT_EQ(at(56, 10), 255) << "the gap";
    EXPECT_EQ(at(60, 0), 255);
    EXPECT_EQ(at(20, 70), 128); // 255 (1 − 1/2) = 127.5, rounded away from zero
    EXPECT_EQ(at(70, 70), 255) << "where there is no image";
}

TEST(ImageGrid, AlternatesRowsOfTwoSets) {
    const std::vector<float> first{1, 2, 3}, second{-1, -2, -3};
    EXPECT_EQ(report::alternate(first, second, 1, 2), (std::vector<float>{1, 2, -1, -2, 3, -3}));
}

TEST(PointCloud, GroupsByValueOrByRange) {
    std::vector<std::array<double, 2>> points(600);
    std::vector<double> few, many;
    for (int i = 0; i < 600; ++i) {
        few.push_back(i % 4);
        many.push_back(i);
    }
    const report::point_groups values = report::group_by(points, few), ranges = report::group_by(points, many);
    ASSERT_EQ(values.legend.size(), 4u);
    EXPECT_EQ(values.legend[3].second, "3");
    EXPECT_EQ(values.groups[7], 3);
    ASSERT_EQ(ranges.legend.size(), 6u);
    EXPECT_EQ(ranges.legend[0].second, "0 to 100");
    EXPECT_EQ(ranges.groups[99], 0);
    EXPECT_EQ(ranges.groups[100], 1);
    EXPECT_EQ(ranges.groups[599], 5);
    EXPECT_EQ(report::group_by(points, {}).legend.size(), 1u);
}

} // namespace
