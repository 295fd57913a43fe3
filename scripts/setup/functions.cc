// Makes a graph a function that the add-on can execute by name like any operation. Called through Deno's foreign function
// interface (shared/tensorflow/graph/define.ts).
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"

namespace {

template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

std::vector<std::string> Lines(const char* text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void Define(const char* name, TF_Graph* graph, const char* inputs, const char* outputs, const char* effects,
            TF_Status* status) {
  std::vector<TF_Output> in, out;
  std::vector<const TF_Operation*> effect;
  for (const auto& node : Lines(inputs)) in.push_back({TF_GraphOperationByName(graph, node.c_str()), 0});
  for (const auto& output : Lines(outputs)) {
    const size_t colon = output.rfind(':');
    const std::string node = output.substr(0, colon);
    out.push_back({TF_GraphOperationByName(graph, node.c_str()), std::stoi(output.substr(colon + 1))});
  }
  for (const auto& node : Lines(effects)) effect.push_back(TF_GraphOperationByName(graph, node.c_str()));
  Owned<TF_Function> function(
      TF_GraphToFunctionWithControlOutputs(
          graph, name, 0, -1, nullptr, static_cast<int>(in.size()), in.data(), static_cast<int>(out.size()),
          out.data(), nullptr, static_cast<int>(effect.size()), effect.data(), nullptr, nullptr, nullptr, status),
      TF_DeleteFunction);
  if (TF_GetCode(status) == TF_OK) TFE_ContextAddFunction(subtaxa::context, function.get(), status);
}

}  // namespace

// Defines the function `name` from a serialized GraphDef. `inputs` and `effects` are names of nodes, `outputs` are
// `node:index`; one a line. The nodes of `effects` are executed even if no output needs them. Writes what went wrong, or
// nothing, into `message`, at most `capacity` bytes with the final zero.
extern "C" __attribute__((visibility("default"))) void subtaxa_define_function(
    const char* name, const void* graph_def, size_t length, const char* inputs, const char* outputs,
    const char* effects, char* message, size_t capacity) {
  Owned<TF_Status> status(TF_NewStatus(), TF_DeleteStatus);
  Owned<TF_Graph> graph(TF_NewGraph(), TF_DeleteGraph);
  Owned<TF_Buffer> buffer(TF_NewBufferFromString(graph_def, length), TF_DeleteBuffer);
  Owned<TF_ImportGraphDefOptions> options(TF_NewImportGraphDefOptions(), TF_DeleteImportGraphDefOptions);
  TF_GraphImportGraphDef(graph.get(), buffer.get(), options.get(), status.get());
  if (TF_GetCode(status.get()) == TF_OK) {
    Define(name, graph.get(), inputs, outputs, effects, status.get());
  }
  message[std::string(TF_Message(status.get())).copy(message, capacity - 1)] = 0;
}

// Forgets it again.
extern "C" __attribute__((visibility("default"))) void subtaxa_remove_function(const char* name) {
  Owned<TF_Status> status(TF_NewStatus(), TF_DeleteStatus);
  TFE_ContextRemoveFunction(subtaxa::context, name, status.get());
}
