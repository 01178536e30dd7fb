#include "command_line.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>  // std::find
#include <charconv>   // std::from_chars
#include <cmath>      // std::abs
#include <concepts>
#include <csignal>  // SIGPIPE
#include <cstdlib>  // std::strtod
#include <exception>
#include <filesystem>
#include <iostream>
#include <limits>
#include <new>  // std::bad_alloc
#include <sstream>
#include <utility>

#include "console.hpp"

namespace solens::program {
namespace {

/// The usual help, with a usage line that shows which options go together.
class help_format : public CLI::Formatter {
 public:
  explicit help_format(std::string usage) : usage_(std::move(usage)) { column_width(28); }
  std::string make_usage(const CLI::App*, std::string) const override { return usage(); }
  std::string usage() const { return "Usage: " + usage_ + "\n"; }

 private:
  std::string usage_;
};

constexpr const char* help_words = "-h,--help";
constexpr const char* help_of_help = "Print this help and leave";

/// The subcommand that was named, or the program when none was.
const CLI::App& chosen(const CLI::App& app) {
  const auto subs = app.get_subcommands();
  return subs.empty() ? app : *subs.front();
}

/// One line, whatever the names in it hold.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

/// @returns the exit code
int complain(const CLI::App& app, const std::string& fault) {
  const CLI::App& sub = chosen(app);
  std::cerr << "solens: " << one_line(fault) << '\n'
            << dynamic_cast<const help_format&>(*sub.get_formatter()).usage() << "'solens"
            << (&sub == &app ? "" : " " + sub.get_name()) << " --help' says more.\n";
  return 2;
}

int run_and_report(const std::function<void()>& run) {
  std::string problem;
  try {
    run();
    flush_output();
    return 0;
  } catch (const std::bad_alloc&) {
    problem = "[memory] expected enough of it, got none left";
  } catch (const std::exception& e) {
    problem = e.what();
  } catch (...) {
    problem = "[run] expected a result, got an unknown exception";
  }
  if (const int signal = stop_signal(); signal != 0) {
    if (signal != SIGPIPE) std::cerr << "solens: stopped: " << one_line(problem) << '\n';
    die_of(signal);
  }
  std::cerr << "solens: " << one_line(problem) << '\n';
  return 1;
}

}  // namespace

option option::required() const { return option(option_->required()); }
option option::needs(option other) const { return option(option_->needs(other.option_)); }
option option::excludes(option other) const { return option(option_->excludes(other.option_)); }

option option::among(const std::vector<std::string>& words) const {
  return option(option_->check(CLI::IsMember(words)));
}

option option::within(int least, int most) const {
  return option(option_->check(CLI::Range(least, most)));
}

option option::within(double least, double most) const {
  return option(option_->check(CLI::Range(least, most)));
}

option option::positive() const {
  return check([](const std::string& given) -> std::string {
    if (std::strtod(given.c_str(), nullptr) > 0) return {};
    return "expected a number above 0, got '" + given + "'";
  });
}

option option::not_negative() const {
  return check([](const std::string& given) -> std::string {
    if (std::strtod(given.c_str(), nullptr) >= 0) return {};
    return "expected a number from 0 on, got '" + given + "'";
  });
}

option option::check(std::function<std::string(const std::string&)> fault) const {
  return option(option_->check(std::move(fault)));
}

option option::ends_in(const std::vector<std::string>& endings) const {
  return check([endings](const std::string& path) -> std::string {
    const std::string ending = std::filesystem::path(path).extension().string();
    if (std::find(endings.begin(), endings.end(), ending) != endings.end()) return {};
    std::string all;
    for (const std::string& one : endings) all += (all.empty() ? "" : " or ") + one;
    return "expected a file that ends in " + all + ", got '" + path + "'";
  });
}

option_group option_group::group(const std::string& title, int least, int most) const {
  return option_group(app_->add_option_group(title)->require_option(
      static_cast<std::size_t>(least), static_cast<std::size_t>(most)));
}

option option_group::flag(const std::string& name, bool& value, const std::string& what) const {
  return option(app_->add_flag(name, value, what));
}

option option_group::text(const std::string& name, std::string& value, const std::string& what,
                          const std::string& type) const {
  return option(app_->add_option(name, value, what)->type_name(type));
}

option option_group::texts(const std::string& name, std::vector<std::string>& values,
                           const std::string& what, const std::string& type) const {
  return option(app_->add_option(name, values, what)->type_name(type)->allow_extra_args(false));
}

option option_group::path(const std::string& name, std::string& value, const std::string& what,
                          const std::string& type) const {
  return text(name, value, what, type).check([](const std::string& given) {
    return given.empty() ? std::string("expected a path, got an empty word") : std::string();
  });
}

template <class Number>
option option_group::number(const std::string& name, Number& value, const std::string& what,
                            const std::string& type) const {
  const option one(app_->add_option(name, value, what)->type_name(type));
  if constexpr (std::floating_point<Number>) {
    return one.check([](const std::string& given) -> std::string {
      // not NaN, and nothing that becomes infinite where it is computed with
      constexpr double most = std::numeric_limits<float>::max();
      if (std::abs(std::strtod(given.c_str(), nullptr)) <= most) return {};
      return "expected a finite number, got '" + given + "'";
    });
  }
  return one;
}

template option option_group::number(const std::string&, int&, const std::string&,
                                     const std::string&) const;
template option option_group::number(const std::string&, index_t&, const std::string&,
                                     const std::string&) const;
template option option_group::number(const std::string&, std::uint64_t&, const std::string&,
                                     const std::string&) const;
template option option_group::number(const std::string&, float&, const std::string&,
                                     const std::string&) const;
template option option_group::number(const std::string&, double&, const std::string&,
                                     const std::string&) const;

option option_group::numbers(const std::string& name, std::vector<index_t>& values,
                             const std::string& what) const {
  const auto take = [name, &values](const std::string& text) {
    values = text == "all" ? std::vector<index_t>() : numbers_in(name, text);
  };
  return read(name, take, what, "LIST");
}

option option_group::size(const std::string& name, std::size_t& value, const std::string& what,
                          const std::string& type) const {
  CLI::Option* one = app_->add_option(name, value, what)->type_name(type);
  one->transform(CLI::AsSizeValue(false));
  // Before that, which takes -1 for the largest number there is.
  one->transform([](const std::string& given) {
    if (given.find('-') == given.npos) return given;
    throw CLI::ValidationError("expected a size as in 4GB, got '" + given + "'");
  });
  return option(one);
}

option option_group::read(const std::string& name, std::function<void(const std::string&)> take,
                          const std::string& what, const std::string& type) const {
  return option(
      app_->add_option_function<std::string>(name, std::move(take), what)->type_name(type));
}

option option_group::get(const std::string& name) const { return option(app_->get_option(name)); }

std::vector<index_t> numbers_in(const std::string& option, const std::string& text) {
  std::vector<index_t> numbers;
  std::stringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    index_t first = 0, last = 0;
    const char* const end = part.data() + part.size();
    auto read = std::from_chars(part.data(), end, first);
    last = first;
    if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-') {
      read = std::from_chars(read.ptr + 1, end, last);
    }
    if (read.ec != std::errc() || read.ptr != end || first < 0 || last < first ||
        last - first > 1'000'000) {
      throw usage_error(option + ": expected numbers as in 0,5,10-20, got '" + text + "'");
    }
    for (index_t n = first; n <= last; ++n) numbers.push_back(n);
  }
  if (numbers.empty()) throw usage_error(option + ": expected a number, got none");
  return numbers;
}

command_line::command_line(const std::string& what) : app_(std::make_unique<CLI::App>(what)) {
  app_->formatter(std::make_shared<help_format>("solens SUBCOMMAND [options]"));
  app_->set_help_flag(help_words, help_of_help);
  app_->set_version_flag("--version", "solens " SOLENS_VERSION, "Print the version and leave");
  app_->require_subcommand(0, 1);  // an unknown one is named as such, see `run` for none
}

command_line::~command_line() = default;

option_group command_line::command(const std::string& name, const std::string& usage,
                                   const std::string& what, std::function<void()> when_given) {
  CLI::App* sub = app_->add_subcommand(name, what);
  sub->formatter(std::make_shared<help_format>("solens " + name + " " + usage));
  sub->set_help_flag(help_words, help_of_help);
  sub->final_callback(std::move(when_given));
  return option_group(sub);
}

int command_line::run(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
    if (!run_) throw CLI::RequiredError("A subcommand");
  } catch (const CLI::CallForHelp&) {
    run_ = [this] { print(chosen(*app_).help()); };
  } catch (const CLI::CallForVersion&) {
    run_ = [this] { print(app_->version() + "\n"); };
  } catch (const CLI::ParseError& e) {
    return complain(*app_, e.what());
  } catch (const usage_error& e) {
    return complain(*app_, e.what());
  }
  return run_and_report(run_);
}

}  // namespace solens::program
