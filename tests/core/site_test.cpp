#include <string>

#include <solens/core/site.hpp>

#include <support/test.hpp>

using namespace solens;

TEST_CASE("every site has a name of its own that is read back") {
  for (const site_info& info : site_table) {
    for (const bool narrow : {false, true}) {
      if (narrow && !info.narrow) continue;
      const site s{info.kind, info.in_block() ? 13 : 0, narrow};
      INFO(to_string(s));
      CHECK(parse_site(to_string(s)) == s);
    }
  }
  CHECK(to_string(site{site_kind::pattern, 9, true}) == "blocks.9.attn.hook_pattern:class");
  CHECK(parse_site("ln_final.hook_scale") == site{site_kind::ln_final_scale});
}

TEST_CASE("an unknown site is answered with the nearest ones") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_AS(parse_site("blocks.3.mlp.hook_pots"), argument_error);
  CHECK_THROWS_WITH(
      parse_site("blocks.3.mlp.hook_pots"),
      Contains("expected blocks.3.mlp.hook_post,") && Contains("got blocks.3.mlp.hook_pots"));
  for (const char* name : {"", "blocks.", "blocks.{i}.mlp.hook_post", "blocks.-1.mlp.hook_post",
                           "blocks.01.mlp.hook_post", "blocks.99999999999999999999.mlp.hook_post",
                           "blocks.1.mlp.hook_post ", "representation:class",
                           "blocks.1.attn.hook_v:class", ":class", "hook_embed:class"}) {
    INFO(name);
    CHECK_THROWS_AS(parse_site(name), argument_error);
  }
}

TEST_CASE("a site's extents follow its axes") {
  const site_extents e{.n_layers = 4,
                       .n_images = 2,
                       .n_heads = 3,
                       .n_tokens = 5,
                       .d_head = 7,
                       .d_model = 21,
                       .d_mlp = 84,
                       .d_joint = 11};
  CHECK(shape_of({site_kind::resid_pre, 3}, e) == shape{2, 5, 21});
  CHECK(shape_of({site_kind::resid_pre, 3, true}, e) == shape{2, 21});
  CHECK(shape_of({site_kind::values, 0}, e) == shape{2, 5, 3, 7});
  CHECK(shape_of({site_kind::z, 0, true}, e) == shape{2, 3, 7});
  CHECK(shape_of({site_kind::pattern, 0}, e) == shape{2, 3, 5, 5});
  CHECK(shape_of({site_kind::pattern, 0, true}, e) == shape{2, 3, 5});
  CHECK(shape_of({site_kind::mlp_post, 0}, e) == shape{2, 5, 84});
  CHECK(shape_of({site_kind::ln_1_scale, 0}, e) == shape{2, 5});
  CHECK(shape_of({site_kind::ln_final_scale}, e) == shape{2});
  CHECK(shape_of({site_kind::representation}, e) == shape{2, 11});
}
