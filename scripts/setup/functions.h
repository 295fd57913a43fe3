// Keeps the context that the add-on makes, one for each thread that loads it, for functions.cc. Included before the add-on's own sources.
#pragma once
#include "tensorflow/c/eager/c_api.h"

namespace subtaxa {

inline thread_local TFE_Context* context = nullptr;

inline TFE_Context* NewContext(const TFE_ContextOptions* options, TF_Status* status) {
  return context = TFE_NewContext(options, status);
}

}  // namespace subtaxa

#define TFE_NewContext subtaxa::NewContext
