/* The page's style: system fonts, one column on a phone, two plots side by side where
 * there is room. Tables scroll in boxes of their own, so the page never does sideways.
 * On paper nothing scrolls, what is folded stays folded, and no plot is cut in two. */
#include "report/page.h"

static const char *const rules[] = {
    "*{box-sizing:border-box}\n",
    "html{-webkit-text-size-adjust:100%;text-size-adjust:100%}\n",
    "body{margin:0 auto;padding:1rem;max-width:70rem;color:#1b1f24;background:#fff;",
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',",
    "sans-serif;overflow-wrap:anywhere}\n",
    "h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0}\n",
    "h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-top:.8rem;",
    "border-top:1px solid #d5dae1}\n",
    "h3{font-size:1.05rem;margin:1.4rem 0 .4rem}\n",
    "p,ul{margin:.5rem 0;max-width:48rem}\n",
    ".lead{font-size:1.1rem}\n.note{color:#57606a;font-size:.85rem;margin:.3rem 0}\n",
    ".notice{border-left:4px solid #d55e00;background:#fff5ee;padding:.5rem .9rem;",
    "margin:1rem 0}\n.notice ul{padding-left:1.1rem;margin:.3rem 0}\n",
    ".key-sentence{border-left:4px solid #0072b2;background:#f0f6fb;",
    "padding:.6rem .9rem;font-size:1.05rem}\n",
    "dl.tiles{display:grid;gap:.6rem;margin:1rem 0;",
    "grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr))}\n",
    "dl.tiles>div{display:flex;flex-direction:column;border:1px solid #d5dae1;",
    "border-radius:6px;padding:.5rem .7rem}\n",
    "dl.tiles dd{margin:0;font-size:1.2rem;font-weight:600;line-height:1.3}\n",
    "dl.tiles dt{color:#57606a;font-size:.85rem}\n",
    ".plots{display:grid;gap:1rem 1.5rem;grid-template-columns:minmax(0,1fr)}\n",
    "@media(min-width:800px){.plots{grid-template-columns:repeat(2,minmax(0,1fr))}}\n",
    "figure{margin:0;min-width:0;max-width:40rem}\nfigcaption{font-weight:600}\n",
    "svg.plot{display:block;width:100%;height:auto}\n",
    "img{max-width:100%;height:auto;image-rendering:auto}\n",
    "ul.legend{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;list-style:none;padding:0;",
    "margin:.2rem 0;font-size:.9rem;max-width:none}\n",
    ".key{display:inline-block;width:1.1em;height:.7em;margin-right:.4em}\n",
    ".key.dashed{height:0;background:none;border-width:2px 0 0;border-style:dashed;",
    "vertical-align:.3em}\n",
    ".scroll{overflow-x:auto;max-width:100%;margin:.6rem 0}\n",
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}",
    "\nth,td{padding:.25rem .5rem;text-align:right;white-space:nowrap;",
    "overflow-wrap:normal;",
    "border-bottom:1px solid #e3e7ec}\n",
    "thead th{border-bottom:2px solid #b8c0ca;vertical-align:bottom;font-weight:600;",
    "white-space:normal;overflow-wrap:normal}\n",
    "th.word,td.word{text-align:left}thead th.word{white-space:nowrap}\n",
    "td.value{text-align:left;white-space:pre-wrap;overflow-wrap:anywhere}\n",
    "th.row{text-align:left;font-weight:400;color:#57606a}\n",
    ".bar{display:flex;height:1.6rem;margin:.6rem 0 .2rem;border-radius:4px;",
    "overflow:hidden;max-width:48rem}\n",
    "details{margin:.6rem 0}\nsummary{cursor:pointer;font-weight:600}\n",
    "pre{overflow-x:auto;background:#f6f8fa;border:1px solid #d5dae1;",
    "border-radius:6px;",
    "padding:.7rem;font:13px/1.45 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,",
    "monospace}\nfooter{margin-top:2.5rem;color:#57606a;font-size:.85rem}\n",
    "@media print{@page{margin:15mm 12mm}html{font-size:10.5pt}\n",
    "body{font-size:10.5pt;max-width:none;padding:0;",
    "-webkit-print-color-adjust:exact;print-color-adjust:exact}\n",
    "figure,dl.tiles,.notice,.key-sentence,tr,.bar{break-inside:avoid}\n",
    "thead th.word{white-space:normal}\n",
    "h2,h3{break-after:avoid}thead{display:table-header-group}\n",
    ".plots{grid-template-columns:repeat(2,minmax(0,1fr))}\n",
    ".scroll{overflow:visible}table{font-size:7.2pt}th,td{padding:.1rem .28rem}\n",
    "td.word{white-space:normal}\n",
    "pre{white-space:pre-wrap;font-size:7.5pt}}\n",
};

void page_write_style(FILE *html)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        fputs(rules[i], html);
    plot_write_style(html);
}
