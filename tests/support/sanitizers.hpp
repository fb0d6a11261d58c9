// Which sanitizer a test is compiled for: g++ defines a macro, clang has a feature.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define ELBO_UNDER_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define ELBO_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ELBO_UNDER_TSAN 1
#elif __has_feature(address_sanitizer)
#define ELBO_UNDER_ASAN 1
#endif
#endif
