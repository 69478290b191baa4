// Early return on an error Status, as Debian's Abseil has no such macros.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RETURN_IF_ERROR(expression)          \
  do {                                       \
    absl::Status weir_status = (expression); \
    if (!weir_status.ok()) [[unlikely]]      \
      return weir_status;                    \
  } while (false)

#define WEIR_CONCAT_INNER_(a, b) a##b
#define WEIR_CONCAT_(a, b) WEIR_CONCAT_INNER_(a, b)
#define WEIR_ASSIGN_OR_RETURN_(result, lhs, expression) \
  auto result = (expression);                           \
  if (!result.ok()) [[unlikely]]                        \
    return std::move(result).status();                  \
  lhs = *std::move(result)

// ASSIGN_OR_RETURN(auto stream, network.Connect(...));
#define ASSIGN_OR_RETURN(lhs, expression) \
  WEIR_ASSIGN_OR_RETURN_(WEIR_CONCAT_(weir_result_, __LINE__), lhs, expression)
