#pragma once

#include <cstddef>  // std::size_t
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <solens/core/shape.hpp>

namespace CLI {
class App;
class Option;
}  // namespace CLI

/// How commands say what words they take. The parser behind it costs seconds to compile, so that
/// only command_line.cpp knows it.
namespace solens::program {

/// Words of the call that are wrong, or do not go together. `what()` begins with the option.
class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An option that was declared, to say more of it.
class option {
 public:
  explicit option(CLI::Option* one) : option_(one) {}

  option required() const;
  option needs(option other) const;
  option excludes(option other) const;

  /// What may be given: one of these words, a number of a range, what `fault` has no complaint of.
  option among(const std::vector<std::string>& words) const;
  option within(int least, int most) const;
  option within(double least, double most) const;
  option positive() const;
  option not_negative() const;
  option check(std::function<std::string(const std::string&)> fault) const;
  option ends_in(const std::vector<std::string>& endings) const;

 private:
  CLI::Option* option_;
};

/// Options that a page of help shows together: all of a command, or some of which so many have to
/// be there. Each writes what is given to a variable, which has to live as long as the parser.
class option_group {
 public:
  explicit option_group(CLI::App* app) : app_(app) {}

  option_group group(const std::string& title, int least, int most) const;
  option_group one_of(const std::string& title) const { return group(title, 1, 1); }

  option flag(const std::string& name, bool& value, const std::string& what) const;
  option text(const std::string& name, std::string& value, const std::string& what,
              const std::string& type = "TEXT") const;
  /// One value each time that it is given.
  option texts(const std::string& name, std::vector<std::string>& values, const std::string& what,
               const std::string& type = "TEXT") const;
  /// A file or folder, not an empty word.
  option path(const std::string& name, std::string& value, const std::string& what,
              const std::string& type = "FILE") const;
  /// @tparam Number  int, index_t, std::uint64_t, float, double
  template <class Number>
  option number(const std::string& name, Number& value, const std::string& what,
                const std::string& type = "N") const;
  /// Numbers from 0, as in 8,9,10-12; none for `all`.
  option numbers(const std::string& name, std::vector<index_t>& values,
                 const std::string& what) const;
  /// Bytes, as in 4GB.
  option size(const std::string& name, std::size_t& value, const std::string& what,
              const std::string& type = "SIZE") const;
  /// What `take` makes of the text.
  option read(const std::string& name, std::function<void(const std::string&)> take,
              const std::string& what, const std::string& type) const;

  /// An option declared before.
  option get(const std::string& name) const;

 private:
  CLI::App* app_;
};

/// `8,9,10-12`, as the numbers it names.
/// @throws usage_error
std::vector<index_t> numbers_in(const std::string& option, const std::string& text);

/// The program's words: a command, and options of its own.
class command_line {
 public:
  explicit command_line(const std::string& what);
  ~command_line();

  /// Adds a command.
  ///
  /// @param usage    its options in short, which shows what goes together
  /// @param declare  binds options to the fields of a `Call`
  /// @param work     is called with it if this is the command given; done when it returns
  /// @param check    throws usage_error where words do not go together in a way of their own
  template <class Call>
  void add(const std::string& name, const std::string& usage, const std::string& what,
           void (*declare)(option_group, Call&), void (*work)(const Call&),
           void (*check)(const Call&) = nullptr) {
    const auto call = std::make_shared<Call>();
    declare(command(name, usage, what,
                    [this, call, work, check] {
                      if (check != nullptr) check(*call);
                      run_ = [call, work] { work(*call); };
                    }),
            *call);
  }

  /// Understands the words, runs what they ask for, and reports what goes wrong.
  ///
  /// @returns the exit code: 0 done, 2 the words are wrong, 1 anything else
  int run(int argc, char** argv);

 private:
  option_group command(const std::string& name, const std::string& usage, const std::string& what,
                       std::function<void()> when_given);

  std::unique_ptr<CLI::App> app_;
  std::function<void()> run_;  ///< the command given
};

}  // namespace solens::program
