// What the program says of files that are not what they should be: one line, exit code 1, and
// nothing left behind.

#include "call.hpp"
#include "vocabulary.hpp"

#include <sys/resource.h>

#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;

namespace {

std::vector<std::string> encode(std::string model, std::string config, std::string option,
                                std::string input, std::string out) {
  return {"encode",          "--quiet",         "--model",        std::move(model), "--config",
          std::move(config), std::move(option), std::move(input), "--out",          std::move(out)};
}

const std::string model = data("tiny-a.model.safetensors").string();
const std::string config = data("tiny-a.config.json").string();
const std::string pixels = data("tiny-a.ref.safetensors").string() + ":images";

/// A limit on the size of files for the calls in its scope, which stands for a full disk.
class file_size_limit {
 public:
  explicit file_size_limit(rlim_t bytes) {
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit limit{bytes, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~file_size_limit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("A model that is not one is an error that names the file") {
  temporary_folder folder;
  const std::string out = (folder / "out.npy").string();
  const std::string bytes = read_file(model);
  const auto bad = [&](const std::string& name, const std::string& content) {
    write_file(folder / name, content);
    check_error(call(encode((folder / name).string(), config, "--pixels", pixels, out)), {name});
    check_error(call({"info", "--model", (folder / name).string(), "--config", config}), {name});
    CHECK_FALSE(std::filesystem::exists(out));
  };
  bad("cut.safetensors", bytes.substr(0, bytes.size() - 1000));
  bad("empty.safetensors", "");
  bad("text.safetensors", "not a model at all");
  bad("huge-header.safetensors", std::string(8, '\x7f') + bytes.substr(8));
  check_error(call(encode("/no/such/model", config, "--pixels", pixels, out)), {"/no/such/model"});
  check_error(call({"info", "--model", folder.path().string()}), {folder.path().string()});
}

TEST_CASE("A configuration that disagrees or is none is an error that names it") {
  temporary_folder folder;
  const std::string out = (folder / "out.npy").string();
  const auto bad = [&](const std::string& name, const std::string& content,
                       const std::vector<std::string>& parts) {
    write_file(folder / name, content);
    check_error(call(encode(model, (folder / name).string(), "--pixels", pixels, out)), parts);
  };
  bad("other.json", read_file(data("tiny-b.config.json")), {"expected", "got"});
  bad("broken.json", "{\"embed_dim\": 32,", {"broken.json"});
  bad("unknown.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})",
      {"unknown.json"});
  check_error(call(encode(model, "/no/such.json", "--pixels", pixels, out)), {"/no/such.json"});
}

TEST_CASE("Pixels that do not fit are an error that names file and tensor") {
  temporary_folder folder;
  const std::string out = (folder / "out.npy").string();
  const auto bad = [&](const std::string& place, const std::vector<std::string>& parts) {
    check_error(call(encode(model, config, "--pixels", place, out)), parts);
  };
  const std::string reference = data("tiny-a.ref.safetensors").string();
  bad(reference + ":pictures", {"tiny-a.ref.safetensors", "pictures"});
  bad(reference + ":representation", {"representation", "[images, 3, 32, 32]", "[4, 32]"});
  bad(reference + ":text_tokens", {"text_tokens"});
  bad(data("tiny-b.ref.safetensors").string() + ":images", {"[images, 3, 32, 32]", "64"});
  bad(data("tiny-a.config.json").string(), {"tiny-a.config.json"});
  bad("/no/such.safetensors:images", {"/no/such.safetensors"});

  const host_tensor<double> wide(shape{2, 3, 32, 32}, 0.0);
  const std::string doubles = (folder / "doubles.safetensors").string();
  write_safetensors(doubles, {{"images", host_view<const double>(wide)}});
  bad(doubles, {"doubles.safetensors: images", "float32", "float64"});

  const host_tensor<float> none(shape{0, 3, 32, 32});
  const std::string empty = (folder / "no-images.safetensors").string();
  write_safetensors(empty, {{"images", host_view<const float>(none)}});
  bad(empty, {"at least one image"});
}

TEST_CASE("Images that are none are skipped, but not all of them") {
  temporary_folder folder;
  const std::string out = (folder / "out.npy").string();
  std::filesystem::create_directory(folder / "images");
  const std::string images = (folder / "images").string();
  check_error(call(encode(model, config, "--images", images, out)), {"images"});

  write_file(folder / "images/words.jpg", "text under a wrong name");
  write_file(folder / "images/empty.png", "");
  const std::string png = read_file(data("images/10_rgb_large_211x149.png"));
  write_file(folder / "images/cut.png", png.substr(0, png.size() / 2));
  const outcome o = call(encode(model, config, "--images", images, out));
  INFO(o.err);
  CHECK(o.exit_code == 1);
  REQUIRE(o.complaints().size() == 4);
  CHECK(o.complaints()[0].find("cut.png") != std::string::npos);
  CHECK(o.complaints()[1].find("empty.png") != std::string::npos);
  CHECK(o.complaints()[2].find("words.jpg") != std::string::npos);
  CHECK(o.complaints()[3].find("at least one image") != std::string::npos);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"images"});
  check_error(call(encode(model, config, "--images", "/no/such/folder", out)), {"/no/such/folder"});
}

TEST_CASE("Outputs that cannot be written are an error that leaves no half file") {
  temporary_folder folder;
  write_file(folder / "file", "");
  check_error(call(encode(model, config, "--pixels", pixels, (folder / "no/out.npy").string())),
              {"no/out.npy"});
  check_error(call(encode(model, config, "--pixels", pixels, (folder / "file/out.npy").string())),
              {"file/out.npy"});
  std::filesystem::create_directory(folder / "folder.npy");
  check_error(call(encode(model, config, "--pixels", pixels, (folder / "folder.npy").string())),
              {"folder.npy", "a folder"});
  std::filesystem::create_symlink("/dev/full", folder / "full.npy");
  check_error(call(encode(model, config, "--pixels", pixels, (folder / "full.npy").string())),
              {"full.npy"});

  // What was there stays as it was.
  write_file(folder / "out.npy", "of old");
  {
    const file_size_limit full(300);
    check_error(call(encode(model, config, "--pixels", pixels, (folder / "out.npy").string())),
                {"out.npy", "File too large"});
  }
  CHECK(read_file(folder / "out.npy") == "of old");
  CHECK(names_in(folder.path()) ==
        std::vector<std::string>{"file", "folder.npy", "full.npy", "out.npy"});
}

TEST_CASE("Numbers that are none, or beyond what is computed with, are wrong words") {
  const temporary_folder folder;
  const auto refused = [&](const std::string& option, const std::string& value) {
    INFO(option << " " << value);
    const std::string out = (folder / "out").string();
    check_usage(call({"analyze", "--model", data("tiny-a.model.safetensors").string(), "--pixels",
                      data("tiny-a.ref.safetensors").string() + ":images", "--top", "2", "--out",
                      out, option, value}),
                {option, "'" + value + "'"});
    CHECK_FALSE(std::filesystem::exists(out));
  };
  for (const char* value : {"nan", "inf", "1e300", "0", "-1"}) refused("--coefficient", value);
  for (const char* value : {"nan", "inf", "-1"}) refused("--save-every", value);
  for (const char* value : {"-1", "-1GB"}) refused("--memory", value);
}

TEST_CASE("A backend that is not here is an error that names those that are") {
  if (std::filesystem::exists("/dev/nvidiactl")) {
    WARN("not run: this machine has a GPU");
    return;
  }
  temporary_folder folder;
  std::vector<std::string> words =
      encode(model, config, "--pixels", pixels, (folder / "out.npy").string());
  words.insert(words.end(), {"--backend", "cuda"});
  check_error(call(words), {"--backend", "cuda", "eigen", "reference"});
}

TEST_CASE("Texts without a tokenizer, and tokens without a place in the model, are errors") {
  temporary_folder folder;
  write_file(folder / "texts.txt", "a photo of a cat\n");
  const std::string out = (folder / "out.npy").string();
  const std::string texts = (folder / "texts.txt").string();
  // Alone in its folder, with nothing beside it.
  std::filesystem::create_directory(folder / "model");
  std::filesystem::copy(model, folder / "model/model.safetensors");
  const std::string alone = (folder / "model").string();
  check_error(call(encode(alone, config, "--texts", texts, out)), {"--vocab", alone});

  write_numbered_tokenizer(folder / "tokenizer.json", 1000);
  const std::string tokenizer = (folder / "tokenizer.json").string();
  auto words = encode(data("tiny-b.model.safetensors").string(),
                      data("tiny-b.config.json").string(), "--texts", texts, out);
  words.insert(words.end(), {"--vocab", tokenizer});
  check_error(call(words), {"text tower", "tiny-b"});

  write_numbered_tokenizer(folder / "tokenizer.json", 1001);
  words = encode(alone, config, "--texts", texts, out);
  words.insert(words.end(), {"--vocab", tokenizer});
  check_error(call(words), {"1000", "1001", tokenizer});
  CHECK(names_in(folder.path()) ==
        std::vector<std::string>{"model", "texts.txt", "tokenizer.json"});
}

TEST_CASE("An interrupted call leaves nothing behind and dies of the signal") {
  temporary_folder folder;
  std::filesystem::create_directory(folder / "out");
  std::string list;
  for (int i = 0; i < 20000; ++i) list += data("images/10_rgb_large_211x149.png").string() + "\n";
  write_file(folder / "list.txt", list);
  for (const int signal : {SIGINT, SIGTERM}) {
    INFO("signal " << signal);
    const running_program program(encode(model, config, "--images", (folder / "list.txt").string(),
                                         (folder / "out/out.npy").string()));
    while (names_in(folder / "out").empty()) usleep(1000);  // until it has begun to write
    program.send(signal);
    const outcome o = program.wait();
    CHECK(o.signal == signal);
    CHECK(names_in(folder / "out").empty());
    CHECK(o.complaints().size() == 1);
  }
}
