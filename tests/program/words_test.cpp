// The words of a call: help, versions, and what is said of wrong ones.

#include "call.hpp"

using namespace solens::test;

TEST_CASE("--help lists every subcommand, on standard output") {
  const outcome o = call({"--help"});
  CHECK(o.exit_code == 0);
  CHECK(o.err.empty());
  for (const char* name : {"info", "encode", "tokenize", "preprocess"}) {
    INFO(name);
    CHECK(o.out.find(std::string("\n  ") + name + " ") != std::string::npos);
    const outcome sub = call({name, "--help"});
    CHECK(sub.exit_code == 0);
    CHECK(sub.out.find(std::string("Usage: solens ") + name) != std::string::npos);
    CHECK(sub.out.find("--model") != std::string::npos);
  }
}

TEST_CASE("--version names the version") {
  const outcome o = call({"--version"});
  CHECK(o.exit_code == 0);
  CHECK(o.out == "solens " SOLENS_VERSION "\n");
}

TEST_CASE("Wrong words give the usage and exit code 2") {
  const std::string out = "x.npy";
  check_usage(call({}), {"subcommand"});
  check_usage(call({"dissect"}), {"dissect"});
  check_usage(call({"encode", "--model", "m", "--images", "i", "--out", out, "--colour", "red"}),
              {"Usage: solens encode", "--colour"});
  check_usage(call({"encode", "--model", "m", "--images", "i", "--pixels", "p.npy", "--out", out}),
              {"--images", "--pixels"});
  check_usage(call({"encode", "--model", "m", "--out", out}), {"--images", "--pixels", "--texts"});
  check_usage(call({"encode", "--images", "i", "--out", out}), {"--model"});
  check_usage(call({"encode", "--model", "m", "--images", "i"}), {"--out"});
  check_usage(call({"encode", "--model", "m", "--images", "i", "--out", "x.csv"}),
              {"--out", ".npy", ".safetensors", "x.csv"});
  check_usage(call({"encode", "--model", "m", "--images", "i", "--out", out, "--backend", "fast"}),
              {"--backend", "fast", "eigen"});
  for (const char* count : {"0", "-1", "two", "1.5", ""}) {
    INFO(count);
    const std::vector<std::string> words{"encode", "--model", "m", "--images", "i", "--out", out};
    for (const char* option : {"--threads", "--batch"}) {
      std::vector<std::string> with = words;
      with.insert(with.end(), {option, count});
      check_usage(call(with), {option});
    }
  }
  check_usage(call({"encode", "--model", "", "--images", "i", "--out", out}), {"--model"});
  check_usage(call({"tokenize", "--texts", "t.txt"}), {"--model", "--vocab"});
  check_usage(call({"tokenize", "--model", "m", "--vocab", "v", "--texts", "t.txt"}),
              {"--model", "--vocab"});
  check_usage(call({"info"}), {"--model"});
  check_usage(call({"preprocess", "--model", "m", "--pixels", "p.npy", "--out", out}),
              {"--images"});
  check_usage(call({"encode", "--model", "m", "--images", "i", "--out", out, "--labels", "file"}),
              {"--labels", "folders"});
}
