/* The small parts that sections are made of. */
#include "report/page.h"

#include <stdarg.h>

enum { CELL_SIZE = 1024 };

void page_table_begin(struct page *page, const char *caption, const char *const *heads,
                      int n)
{
    FILE *html = page->html;
    fputs("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"", html);
    html_text(html, caption);
    fputs("\"><table><thead><tr>", html);
    for (int i = 0; i < n; i++) {
        const int is_word = heads[i][0] == '<';
        fputs(is_word ? "<th scope=\"col\" class=\"word\">" : "<th scope=\"col\">",
              html);
        html_text(html, heads[i] + is_word);
        fputs("</th>", html);
    }
    fputs("</tr></thead><tbody>\n", html);
}

void page_table_end(struct page *page)
{
    fputs("</tbody></table></div>\n", page->html);
}

void page_row_begin(struct page *page)
{
    fputs("<tr>", page->html);
}

void page_row_end(struct page *page)
{
    fputs("</tr>\n", page->html);
}

static void put(struct page *page, const char *tag, const char *end, const char *format,
                va_list arguments)
{
    char text[CELL_SIZE];
    vsnprintf(text, sizeof text, format, arguments);
    fputs(tag, page->html);
    html_text(page->html, text);
    fputs(end, page->html);
}

void page_word(struct page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put(page, "<td class=\"word\">", "</td>", format, arguments);
    va_end(arguments);
}

void page_number(struct page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put(page, "<td>", "</td>", format, arguments);
    va_end(arguments);
}

void page_paragraph(struct page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put(page, "<p>", "</p>\n", format, arguments);
    va_end(arguments);
}

void page_tile(struct page *page, const char *value, const char *name)
{
    fputs("<div><dd>", page->html);
    html_text(page->html, value);
    fputs("</dd><dt>", page->html);
    html_text(page->html, name);
    fputs("</dt></div>\n", page->html);
}

const char *page_plural(uint64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}
