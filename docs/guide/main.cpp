// Runs the code that docs/guide.md shows and draws its pictures:
//   guide tests/data docs/guide
#include "docs/guide/gallery.hpp"

#include <exception>
#include <iostream>

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: guide DATA_FOLDER PICTURE_FOLDER\n";
        return 2;
    }
    try {
        const elbo::context ctx = elbo::context::cpu();
        std::filesystem::create_directories(argv[2]);
        const elbo::guide::gallery g{ctx, argv[1], argv[2]};
        for (const auto chapter :
             {elbo::guide::bound, elbo::guide::mixtures, elbo::guide::knowledge, elbo::guide::choices,
              elbo::guide::motion, elbo::guide::continuous, elbo::guide::autoencoders})
            chapter(g);
    } catch (const std::exception& e) {
        std::cerr << "guide: " << e.what() << '\n';
        return 1;
    }
    return 0;
}
