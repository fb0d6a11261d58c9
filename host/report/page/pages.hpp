// The pages: what each is made of, and what they share.
#pragma once

#include "elbo/report.hpp"
#include "elbo/vae/infer.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::report {

// The frame of every page: head, facts, figures, end (frame.cpp).

/// The heading with what is empty of title ("Gaussian mixture of" and the file's name) and made_by.
heading completed(heading about, std::string_view what, const context& ctx, const data_source& data);

/// Head, title and facts.
std::string page_begin(const heading& about);
/// A picture with its caption (HTML); nothing where there is no picture.
std::string figure(const std::string& picture, std::string_view caption);
/// The command that makes the page again, and the end.
std::string page_end(std::string_view command);
/// The style sheet of the page.
extern const std::string_view style_sheet;

// Some rows of data, evenly spaced: the same for every way the data is stored (frame.cpp).

/// At most this many points are drawn: a picture of more is no clearer, and the page stays small.
inline constexpr std::int64_t largest_point_count = 5000;
/// The same for points of so many dimensions, whose numbers (float64) take at most 128 MB.
constexpr std::int64_t shown_points(std::int64_t dimensions) {
    return std::clamp<std::int64_t>((std::int64_t(1) << 24) / dimensions, 1, largest_point_count);
}

/// Rows r(0) < r(1) < ... < r(count - 1) of the data as float64, row-major; `between` is called before each batch.
std::vector<double> gather_rows(const data_source& data, std::int64_t count,
                                const std::function<std::int64_t(std::int64_t)>& r,
                                const std::function<void()>& between = {});
/// At most `limit` rows, evenly spaced.
std::vector<double> evenly_spaced_rows(const data_source& data, std::int64_t limit,
                                       const std::function<void()>& between = {});
/// Elements of `values` [n] at the rows that evenly_spaced_rows takes of n.
std::vector<double> evenly_spaced(const std::vector<double>& values, std::int64_t limit);

// The components of a mixture as text: numbers, a table and a line (component_table.cpp).

/// The first columns of the first components, row by row.
class component_numbers {
public:
    component_numbers(const gmm::model& m, std::int64_t rows, std::int64_t columns);
    /// The mean with five significant digits, or with as many as tell it from the other means of the column: two or
    /// three of the smallest difference that is not nothing beside the deviations.
    std::string mean(std::int64_t row, std::int64_t column) const;
    std::string deviation(std::int64_t row, std::int64_t column) const;

private:
    int digits_of(std::int64_t column) const;
    std::int64_t rows_, columns_;
    std::vector<double> means_, deviations_; // [rows x columns]
    std::vector<int> digits_;                // [columns]
};

/// Weights, means and standard deviations; HTML.
std::string component_table(const gmm::model& m, const std::vector<std::string>& column_names);
/// Legend entry (marker and weight; HTML) of the components, shortened where there are many.
std::string component_legend(const gmm::model& m);

// A mixture: what was fitted to what, in pictures and a table (mixture_page.cpp).

/// Rows of the data and the component each belongs to.
struct point_set {
    std::vector<double> rows;         ///< [n x d]
    std::vector<std::int32_t> labels; ///< [n]
    std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

/// What a page is made of. The parts that a command does not have stay empty and are left out of the page.
struct mixture_page : heading {
    const gmm::model* model = nullptr; ///< required
    std::vector<std::string> column_names;
    point_set points;
    std::int64_t samples = 0;             ///< rows of which `points` shows some
    const gmm::fit_result* fit = nullptr; ///< trace and events
};

/// The page about a mixture and some of these rows; `m` must outlive it. `between` is called before each batch.
mixture_page page_of(const context& ctx, const gmm::model& m, const data_source& data, heading about,
                     const std::function<void()>& between = {});

/// Throws invalid_argument if the points have another dimension than the model or their labels are not its components.
void check(const mixture_page& p);
/// The density over the points with its legend and what it shows, under a heading; HTML.
std::string density_section(const mixture_page& p);
/// The page as HTML with inline SVG: nothing is loaded from elsewhere. Throws as check().
std::string render(const mixture_page& p);

// A choice among mixtures: the criteria over the number of components, the table, and the model that was chosen. Parts
// are HTML or SVG, empty where there is nothing to show (selection_page.cpp).

/// A criterion over the number of components, one line a family, the chosen model in a ring if it was chosen by it.
/// Held-out values have error bars of one standard error.
std::string criterion_chart(const gmm::select_result& r, gmm::criterion which);

/// The families with their markers, where there are several.
std::string family_legend(const gmm::select_result& r);

/// All models, the chosen one marked.
std::string selection_table(const gmm::select_result& r);

/// The page as HTML with inline SVG; `chosen` as for a page about one model (its title is the page's). Throws as render
/// does for one model.
std::string render(const mixture_page& chosen, const gmm::select_result& r);

// A variational autoencoder (vae_page.cpp).

/// Rows of data, as many numbers each as the model has dimensions.
struct row_pictures {
    std::vector<float> samples;                    ///< means of p(x|z) at draws of z
    std::vector<float> originals, reconstructions; ///< of the same rows
};

/// Rows in the latent space.
struct latent_points {
    std::vector<double> mean, deviation; ///< [n x latent] of q(z|x)
    std::vector<double> labels;          ///< [n], or empty
};

/// ELBO against epoch, on training and validation data; SVG, empty where there is nothing to show.
std::string elbo_chart(const std::vector<vae::epoch_record>& history);

/// What a page is made of. The parts that a command does not have stay empty and are left out of the page.
struct vae_page : heading {
    const vae::model* model = nullptr; ///< required
    std::vector<vae::epoch_record> history;
    std::optional<image_size> image; ///< where rows are images
    row_pictures pictures;
    latent_points latents;
    std::string rows_name = "data";           ///< whose rows the reconstructions are: "validation data"
    std::optional<vae::evaluation> evaluated; ///< of rows of the same
};

/// The page about a model and some rows of the data, with samples, reconstructions and terms; `m` must outlive it.
/// `between` is called before each batch.
vae_page page_of(const context& ctx, const vae::model& m, const data_source& data, heading about,
                 const autoencoder_extras& extras, const std::function<void()>& between = {});

/// The page as HTML with inline SVG and PNG: nothing is loaded from elsewhere. Throws invalid_argument where sizes do
/// not fit the model.
std::string render(const vae_page& p);

} // namespace elbo::report
