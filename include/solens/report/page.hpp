#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <solens/report/base64.hpp>
#include <solens/report/columns.hpp>
#include <solens/report/page/app_js.hpp>
#include <solens/report/page/charts_js.hpp>
#include <solens/report/page/data_js.hpp>
#include <solens/report/page/dom_js.hpp>
#include <solens/report/page/layers_js.hpp>
#include <solens/report/page/neuron_js.hpp>
#include <solens/report/page/search_js.hpp>
#include <solens/report/page/style_css.hpp>
#include <solens/report/page/table_js.hpp>
#include <solens/report/script_text.hpp>

namespace solens {

/// What a report shows. `page/data_js.hpp` reads it and says what may be missing.
struct report_data {
  std::string title;
  std::string run;                     ///< JSON: what is said once; see `data_js`
  std::vector<report_column> columns;  ///< numbers by neuron, over all layers in order
};

/// Writes the one HTML file of a report: markup, style, script and data, which opens from disk and
/// asks nothing of a network.
///
/// @param write  called with one part of the file after the other, std::string_view
template <class F>
void write_report_page(const report_data& data, F&& write) {
  // The policy is the page's promise in terms that browsers enforce: pictures out of the data,
  // and nothing from anywhere else.
  write(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "img-src blob: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n");
  write("<title>" + html_text(data.title) + "</title>\n<style>");
  write(report_page::style_css);
  write("</style>\n</head>\n<body>\n<noscript>This report needs JavaScript.</noscript>\n");
  write("<script type=\"application/json\" id=\"run\">" + json_for_script(data.run) +
        "</script>\n");
  for (const report_column& column : data.columns) {
    write("<script type=\"text/plain\" id=\"column-" + html_text(column.name) + "\" data-type=\"" +
          html_text(column.type) + "\">" + base64(column.bytes) + "</script>\n");
  }
  write("<script>\n'use strict';\n");
  for (const std::string_view part :
       {report_page::dom_js, report_page::data_js, report_page::charts_js, report_page::table_js,
        report_page::neuron_js, report_page::layers_js, report_page::search_js,
        report_page::app_js}) {
    write(part);
  }
  write("</script>\n</body>\n</html>\n");
}

}  // namespace solens
