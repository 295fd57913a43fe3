// Attributes that are lists. The add-on hands over strings one by one and arrays of numbers as shapes; here, where
// TensorFlow expects a list of strings, a string is split at its commas, and where it expects a list of types, a
// shape's numbers are types. Included before the add-on's own sources.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "tensorflow/c/eager/c_api.h"

namespace subtaxa {

inline bool Expects(TFE_Op* op, const char* name, TF_AttrType type) {
  TF_Status* status = TF_NewStatus();
  unsigned char is_list = 0;
  TF_AttrType actual = TFE_OpGetAttrType(op, name, &is_list, status);
  bool found = TF_GetCode(status) == TF_OK && is_list && actual == type;
  TF_DeleteStatus(status);
  return found;
}

inline void SetString(TFE_Op* op, const char* name, const void* value, size_t length) {
  if (!Expects(op, name, TF_ATTR_STRING)) return TFE_OpSetAttrString(op, name, value, length);
  const std::string text(static_cast<const char*>(value), length);
  std::vector<const void*> parts;
  std::vector<size_t> lengths;
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find(',', from), text.size());
    parts.push_back(text.data() + from);
    lengths.push_back(end - from);
    from = end + 1;
  }
  TFE_OpSetAttrStringList(op, name, parts.data(), lengths.data(), static_cast<int>(parts.size()));
}

inline void SetShape(TFE_Op* op, const char* name, const int64_t* dims, int count, TF_Status* status) {
  if (!Expects(op, name, TF_ATTR_TYPE)) return TFE_OpSetAttrShape(op, name, dims, count, status);
  std::vector<TF_DataType> types;
  for (int i = 0; i < count; i++) types.push_back(static_cast<TF_DataType>(dims[i]));
  TFE_OpSetAttrTypeList(op, name, types.data(), count);
}

}  // namespace subtaxa

#define TFE_OpSetAttrString subtaxa::SetString
#define TFE_OpSetAttrShape subtaxa::SetShape
