// Run folders that somebody changed since they were written: whoever opens one is told what does
// not fit, before anything is read out of place.

#include "call.hpp"

#include <list>
#include <utility>  // std::as_const
#include <variant>

#include <nlohmann/json.hpp>

#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

/// An analysis of a layer of tiny-a, in 200 words.
struct example {
  temporary_folder folder;
  std::string dir = path("run"), embeddings = path("words.npy");

  example() {
    const safetensors_file stages(data("tiny-a.stages.safetensors"));
    std::string list;
    for (int w = 0; w < 200; ++w) list += "word " + std::to_string(w) + "\n";
    write_file(folder / "words.txt", list);
    write_npy(embeddings, stages.view<float>("words_raw"));
    run({"analyze", "--model", data("tiny-a.model.safetensors").string(), "--pixels",
         stages.name() + ":train_images", "--top", "16", "--layers", "2", "--words",
         path("words.txt"), "--word-embeddings", embeddings, "--out", dir, "--quiet"});
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }
  fs::path file(const std::string& name) const { return fs::path(dir) / name; }

  /// A call that reads the folder and no model.
  outcome describe() const {
    return call({"describe", "--run", dir, "--words", path("words.txt"), "--word-embeddings",
                 embeddings, "--quiet"});
  }
};

/// Copies of a file's tensors, to be changed and written again.
class changed_tensors {
 public:
  explicit changed_tensors(const fs::path& path) : path_(path), file_(path) {
    for (const tensor_info& t : file_.tensors()) {
      if (t.type == dtype::i64) {
        indices_.push_back(file_.tensor<index_t>(t.name));
        tensors_.push_back({t.name, std::as_const(indices_.back()).view()});
      } else {
        floats_.push_back(file_.tensor<float>(t.name));
        tensors_.push_back({t.name, std::as_const(floats_.back()).view()});
      }
    }
  }

  /// Takes what `change` makes of the view of a tensor.
  template <class F>
  changed_tensors& with(const std::string& name, F change) {
    for (named_tensor& t : tensors_) {
      if (t.name == name) std::visit([&](auto& view) { view = change(view); }, t.values);
    }
    return *this;
  }
  changed_tensors& with_index(const std::string& name, index_t value) {
    for (named_tensor& t : tensors_) {
      if (t.name != name) continue;
      indices_.push_back(file_.tensor<index_t>(name));
      *indices_.back().data() = value;
      t.values = std::as_const(indices_.back()).view();
    }
    return *this;
  }
  void write() const { write_safetensors(path_, tensors_, file_.metadata()); }

 private:
  fs::path path_;
  safetensors_file file_;
  std::list<host_tensor<float>> floats_;
  std::list<host_tensor<index_t>> indices_;
  std::vector<named_tensor> tensors_;
};

}  // namespace

TEST_CASE("tensors of a layer that do not fit together are refused by file and tensor") {
  const example e;
  const fs::path layer = e.file("layer-2.safetensors");
  const std::string whole = read_file(layer);
  run({"describe", "--run", e.dir, "--words", e.path("words.txt"), "--word-embeddings",
       e.embeddings, "--quiet"});
  REQUIRE(read_file(layer) == whole);
  const auto refused = [&](const std::string& tensor) {
    check_error(e.describe(), {"layer-2.safetensors: " + tensor});
    write_file(layer, whole);
  };
  for (const char* name :
       {"code_atoms", "code_cosine", "direction_by_head", "explained_variance",
        "explained_variance_all", "mean_coefficients", "mean_effect", "n_significant",
        "norm_quantiles", "polysemy", "top_norms", "top_share"}) {
    INFO(name);
    const auto without_last = [](auto x) { return x.slice(0, 0, x.extent(0) - 1); };
    changed_tensors(layer).with(name, without_last).write();
    refused(name);
  }
  for (const char* name : {"direction", "top_images", "norm_quantiles"}) {
    changed_tensors(layer).with(name, [](auto x) { return x.select(1, 0); }).write();
    refused(name);
  }
  const auto without_columns = [](auto x) { return x.slice(1, 0, 0); };
  changed_tensors(layer).with("top_images", without_columns).write();
  refused("top_images");
  for (const index_t image : {index_t{-1}, index_t{64}}) {
    changed_tensors(layer).with_index("top_images", image).write();
    refused("top_images");
  }
  for (const index_t word : {index_t{-2}, index_t{200}}) {
    changed_tensors(layer).with_index("code_atoms", word).write();
    refused("code_atoms");
  }
}

TEST_CASE("lists that are shorter than what refers to them are refused") {
  const example e;
  const auto shortened = [&](const std::string& name, const std::string& complaint) {
    const std::string whole = read_file(e.file(name));
    write_file(e.file(name), whole.substr(0, whole.find('\n') + 1));
    check_error(e.describe(), {complaint});
    write_file(e.file(name), "\n\n");
    check_error(e.describe(), {e.dir});
    write_file(e.file(name), whole);
  };
  shortened("words.txt", "dictionary.safetensors: embeddings");
  shortened("images.txt", "layer-2.safetensors: top_images");
}

TEST_CASE("a record without what its readers need is refused by name") {
  const example e;
  const std::string whole = read_file(e.file("run.json"));
  for (const char* place : {"/images", "/images/source", "/images/count", "/options/convention",
                            "/options/coefficient", "/options/layers", "/model/sha256", "/words"}) {
    INFO(place);
    json record = json::parse(whole);
    record[json::json_pointer(place)] = json::array({true});
    write_file(e.file("run.json"), record.dump());
    check_error(e.describe(), {e.file("run.json").string()});
  }
}
