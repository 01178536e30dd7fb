#pragma once

#include <algorithm>   // std::min
#include <functional>  // std::function
#include <span>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/normalize_rows.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/model/text_tower.hpp>
#include <solens/text/bpe_tokenizer.hpp>
#include <solens/text/templates.hpp>

namespace solens {

/// Embeddings of names: each the normalised mean, over the templates, of the normalised features of
/// the name in the template.
///
/// @param templates  one or more; "{}" is the name alone
/// @param out        overwritten, [n_names, d_joint], unit rows
/// @param progress   called now and then with the number of names that are done
/// @return           how many texts had to be cut to the tower's context
/// @throws argument_error without templates; shape_error; format_error for a name that is not UTF-8
/// Source: arXiv 2103.00020, section 3.1.4.
template <tensor_backend B>
index_t embed_names(const B& be, const text_tower<B>& tower, const bpe_tokenizer& tokenizer,
                    std::span<const std::string> names, std::span<const prompt_template> templates,
                    view_of<B> out, const std::function<void(index_t)>& progress = {}) {
  using scalar = typename B::scalar;
  const auto n = static_cast<index_t>(names.size()), t = static_cast<index_t>(templates.size());
  const index_t context = tower.config().context_length, e = tower.d_joint();
  checks::same("embed_names", shape{n, e}, out.extents(), "out");
  if (t == 0) throw argument_error("embed_names", "one template or more", "none", "templates");

  // The tower computes once what texts begin with: it wants many, to find common beginnings.
  const index_t at_once = std::max<index_t>(1, 8192 / t);
  auto work = tower.make_workspace(be);
  auto features = be.allocate({std::min(n, at_once) * t, e}), share = be.allocate({1, t});
  be.fill(scalar{1} / static_cast<scalar>(t), share.view());
  index_t n_cut = 0;
  for (index_t begin = 0; begin < n; begin += at_once) {
    const index_t count = std::min(at_once, n - begin);
    std::vector<std::string> texts;
    for (const std::string& name :
         names.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count))) {
      for (const prompt_template& sentence : templates) texts.push_back(sentence(name));
    }
    host_tensor<index_t> tokens({count * t, context});
    for (index_t length : tokenizer.tokenize(texts, tokens)) n_cut += length > context - 2;
    const view_of<B> rows = features.view().slice(0, 0, count * t);
    tower.forward(be, std::as_const(tokens).view(), work, rows);
    normalize_rows(be, rows);
    const view_of<B> mean = out.slice(0, begin, begin + count);
    be.batched_gemm(1, std::as_const(share).view().repeated(count),
                    const_view_of<B>(rows).reshaped({count, t, e}), 0, mean.split(0, 1));
    normalize_rows(be, mean);
    if (progress) progress(begin + count);
  }
  return n_cut;
}

}  // namespace solens
