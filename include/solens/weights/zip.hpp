#pragma once

#include <algorithm>  // std::min
#include <cstddef>    // std::byte, std::size_t
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <zlib.h>

#include <solens/core/atomic_file.hpp>
#include <solens/core/error.hpp>

/// The part of the zip format that .npz files use: entries stored or deflated, of less than 4 GB.
/// Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
namespace solens::detail {

struct zip_entry {
  std::string name;
  bool deflated = false;
  std::uint32_t crc = 0;
  std::size_t packed_size = 0, size = 0;
  std::size_t data_begin = 0;  ///< offset of the packed bytes in the archive
};

/// Little-endian numbers at an offset, checked.
class zip_bytes {
 public:
  zip_bytes(std::span<const std::byte> bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  std::uint32_t u16(std::size_t at) const { return number(at, 2); }
  std::uint32_t u32(std::size_t at) const { return number(at, 4); }
  std::size_t size() const { return bytes_.size(); }

  std::string text(std::size_t at, std::size_t n) const {
    check(at, n);
    return {reinterpret_cast<const char*>(bytes_.data()) + at, n};
  }
  void check(std::size_t at, std::size_t n) const {
    if (at > bytes_.size() || n > bytes_.size() - at) {
      fail(std::to_string(n) + " bytes at " + std::to_string(at), "the end of the file");
    }
  }
  [[noreturn]] void fail(const std::string& expected, const std::string& got) const {
    throw format_error("read zip", expected, got, name_);
  }

 private:
  std::uint32_t number(std::size_t at, std::size_t n) const {
    check(at, n);
    std::uint32_t value = 0;
    for (std::size_t i = n; i-- > 0;)
      value = value << 8 | std::to_integer<unsigned>(bytes_[at + i]);
    return value;
  }

  std::span<const std::byte> bytes_;
  std::string_view name_;
};

inline constexpr std::uint32_t zip_local = 0x04034b50, zip_central = 0x02014b50,
                               zip_end = 0x06054b50;

/// The offset of the end record, which a comment may follow.
inline std::size_t find_zip_end(const zip_bytes& in) {
  constexpr std::size_t record = 22, longest_comment = 0xffff;
  for (std::size_t back = record; back <= std::min(in.size(), record + longest_comment); ++back) {
    const std::size_t at = in.size() - back;
    if (in.u32(at) == zip_end && in.u16(at + 20) == back - record) return at;
  }
  in.fail("a zip archive", "no end record; another format, or cut");
}

inline zip_entry read_zip_entry(const zip_bytes& in, std::size_t at, std::string_view archive) {
  zip_entry entry;
  entry.name = in.text(at + 46, in.u16(at + 28));
  const std::uint32_t flags = in.u16(at + 8), method = in.u16(at + 10);
  entry.crc = in.u32(at + 16);
  const std::uint32_t packed = in.u32(at + 20), size = in.u32(at + 24), local = in.u32(at + 42);
  const auto refuse = [&](const char* expected, const std::string& got) {
    throw not_supported("read zip", expected, got, std::string(archive) + ": " + entry.name);
  };
  if (packed == 0xffffffff || size == 0xffffffff || local == 0xffffffff) {
    refuse("an archive of less than 4 GB", "zip64");
  }
  if ((flags & 1) != 0) refuse("an entry in the clear", "an encrypted one");
  if (method != 0 && method != 8) {
    refuse("stored or deflated entries", "method " + std::to_string(method));
  }
  entry.deflated = method == 8;
  entry.packed_size = packed;
  entry.size = size;
  // Sizes in the local header may be absent, or zip64 as numpy writes them; the lengths of what
  // stands between it and the data are the only thing that it alone knows.
  if (in.u32(local) != zip_local) in.fail("a local header for '" + entry.name + "'", "none");
  entry.data_begin =
      std::size_t{local} + 30 + in.u16(std::size_t{local} + 26) + in.u16(std::size_t{local} + 28);
  in.check(entry.data_begin, entry.packed_size);
  // Deflate packs at most 1032 to 1, so a size that claims more is a lie, or a bomb.
  const bool plausible =
      entry.deflated ? entry.size / 1032 <= entry.packed_size : entry.size == entry.packed_size;
  if (!plausible) {
    in.fail("a size that its " + std::to_string(packed) + " bytes can hold in '" + entry.name + "'",
            std::to_string(size));
  }
  return entry;
}

/// @throws format_error, not_supported (zip64, encryption, other methods)
inline std::vector<zip_entry> read_zip_directory(std::span<const std::byte> archive,
                                                 std::string_view name) {
  const zip_bytes in(archive, name);
  const std::size_t end = find_zip_end(in);
  const std::uint32_t count = in.u16(end + 10);
  std::size_t at = in.u32(end + 16);
  if (count == 0xffff || at == 0xffffffff) {
    throw not_supported("read zip", "an archive of less than 4 GB and 65535 entries", "zip64",
                        name);
  }
  std::vector<zip_entry> entries;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (in.u32(at) != zip_central)
      in.fail("entry " + std::to_string(i) + " of the directory", "none");
    entries.push_back(read_zip_entry(in, at, name));
    at += std::size_t{46} + in.u16(at + 28) + in.u16(at + 30) + in.u16(at + 32);
  }
  return entries;
}

/// The first `most` bytes of an entry; all of them are held against the checksum.
/// @throws format_error naming the entry
inline std::vector<std::byte> unzip(std::span<const std::byte> archive, const zip_entry& entry,
                                    std::size_t most, std::string_view name) {
  const auto packed = archive.subspan(entry.data_begin, entry.packed_size);
  std::vector<std::byte> out(std::min(most, entry.size));
  if (!entry.deflated) {
    std::copy_n(packed.begin(), out.size(), out.begin());
  } else {
    ::z_stream zlib{};
    if (::inflateInit2(&zlib, -MAX_WBITS) != Z_OK) {
      throw error("read zip", "memory to unpack with", "none", name);
    }
    // zlib's interface is not const; it does not write there.
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    zlib.avail_in = static_cast<uInt>(packed.size());
    zlib.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib.avail_out = static_cast<uInt>(out.size());
    const int result = ::inflate(&zlib, Z_SYNC_FLUSH);
    const bool filled =
        zlib.avail_out == 0 && (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    ::inflateEnd(&zlib);
    if (!filled) throw format_error("read zip", "deflated data", "something else, or less", name);
  }
  if (out.size() == entry.size) {
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
    if (crc != entry.crc) {
      throw format_error("read zip", "checksum " + std::to_string(entry.crc), std::to_string(crc),
                         name);
    }
  }
  return out;
}

/// Writes a zip archive entry by entry.
class zip_writer {
 public:
  explicit zip_writer(atomic_file& file) : file_(&file) {}

  /// @throws not_supported when entry or archive reach 4 GB, argument_error for a name again
  void add(const std::string& name, std::string_view bytes, bool compress) {
    if (!names_.insert(name).second || name.size() > 0xffff) {
      throw argument_error("write zip", "a new name of at most 65535 bytes", "'" + name + "'",
                           file_->path().string());
    }
    check_room(bytes.size(), name);
    const std::string packed = compress ? deflated(bytes, name) : std::string();
    const std::string_view data = compress ? std::string_view(packed) : bytes;
    check_room(file_->size() + data.size() + directory_.size(), name);

    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    std::string common =
        u16(20) + u16(0) + u16(compress ? 8 : 0) + u16(0) + u16(0x21);  // 1980-01-01
    common += u32(crc) + u32(data.size()) + u32(bytes.size()) + u16(name.size()) + u16(0);
    directory_ += u32(zip_central) + u16(20) + common + u16(0) + u16(0) + u16(0) + u32(0) +
                  u32(file_->size()) + name;
    file_->write(u32(zip_local) + common + name);
    file_->write(data);
  }

  void finish() {
    if (names_.size() >= 0xffff) {
      throw not_supported("write zip", "less than 65535 entries", std::to_string(names_.size()),
                          file_->path().string());
    }
    const std::uint64_t begin = file_->size();
    file_->write(directory_);
    file_->write(u32(zip_end) + u16(0) + u16(0) + u16(names_.size()) + u16(names_.size()) +
                 u32(directory_.size()) + u32(begin) + u16(0));
  }

 private:
  static std::string little_endian(std::uint64_t value, std::size_t n) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i, value >>= 8) text += static_cast<char>(value & 0xff);
    return text;
  }
  static std::string u16(std::uint64_t value) { return little_endian(value, 2); }
  static std::string u32(std::uint64_t value) { return little_endian(value, 4); }

  void check_room(std::uint64_t bytes, const std::string& name) const {
    if (bytes >= 0xff000000) {
      throw not_supported("write zip", "an archive of less than 4 GB",
                          std::to_string(bytes) + " bytes", file_->path().string() + ": " + name);
    }
  }

  std::string deflated(std::string_view bytes, const std::string& name) const {
    ::z_stream zlib{};
    if (::deflateInit2(&zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
                       Z_DEFAULT_STRATEGY) != Z_OK) {
      throw error("write zip", "memory to pack with", "none", name);
    }
    std::string out(::deflateBound(&zlib, static_cast<uLong>(bytes.size())), '\0');
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    zlib.avail_in = static_cast<uInt>(bytes.size());
    zlib.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib.avail_out = static_cast<uInt>(out.size());
    const int result = ::deflate(&zlib, Z_FINISH);
    out.resize(zlib.total_out);
    ::deflateEnd(&zlib);
    if (result != Z_STREAM_END) throw error("write zip", "room for packed data", "less", name);
    return out;
  }

  atomic_file* file_;
  std::set<std::string> names_;
  std::string directory_;
};

}  // namespace solens::detail
