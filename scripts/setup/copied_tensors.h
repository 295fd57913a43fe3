// Tensors whose values are their own. The add-on would have TensorFlow go on using the memory of a typed array that
// happens to lie on a boundary of 64 bytes: whoever fills the array anew changes the tensor, an operation in place changes
// the array, and the reference to it is given back on whichever thread frees the tensor, which Node-API forbids. Any other
// array is copied; here, all are. Included before the add-on's own sources.
#pragma once
#include <cstring>

#include "tensorflow/c/c_api.h"

namespace subtaxa {

inline TF_Tensor* NewTensor(TF_DataType dtype, const int64_t* dims, int rank, void* data, size_t length,
                            void (*deallocate)(void* data, size_t length, void* arg), void* arg) {
  TF_Tensor* tensor = TF_AllocateTensor(dtype, dims, rank, length);
  if (tensor != nullptr && length > 0) std::memcpy(TF_TensorData(tensor), data, length);
  deallocate(data, length, arg);
  return tensor;
}

}  // namespace subtaxa

#define TF_NewTensor subtaxa::NewTensor
