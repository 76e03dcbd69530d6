"""Reading a page of convoy report: is it sound HTML that needs nothing from outside, and
what does it say."""
import html.parser
import re

VOID = {"meta", "link", "img", "br", "hr", "input"}



class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")  # fails on what is no UTF-8
        self.open, self.faults, self.ids, self.texts = [], [], [], []
        self.figures, self.rows, self.images = [], [], []
        self.feed(self.source)
        self.close()
        if self.open:
            self.faults.append(f"not closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag in ("script", "iframe", "object", "embed", "base"):
            self.faults.append(f"<{tag}>")
        for name, value in attrs.items():
            if name.startswith("on"):
                self.faults.append(f"{tag} {name}")
            if name in ("src", "href", "xlink:href") and not value.startswith(("data:", "#")):
                self.faults.append(f"{tag} {name}={value}")
        if tag == "figcaption":
            self.figures.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag == "img":
            self.images.append(attrs.get("src", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if "style" in self.open:
            if re.search(r"url\(|@import", data):
                self.faults.append("style from outside")
            return
        if "svg" in self.open:
            return
        if "figcaption" in self.open:
            self.figures[-1] += data
        if ("td" in self.open or "th" in self.open) and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data
        self.texts.append(data)

    @property
    def text(self):
        """Without markup, and with plain spaces."""
        return re.sub(r"\s+", " ", "".join(self.texts).replace("\u00a0", " "))

    def row(self, *begin):
        """The first row of a table that begins with these cells."""
        for row in self.rows:
            cells = [cell.replace("\u00a0", " ") for cell in row]
            if cells[:len(begin)] == list(begin):
                return cells
        return None


def read_page(case, path):
    page = Page(path)
    case.assertEqual(page.faults, [])
    case.assertEqual(len(page.ids), len(set(page.ids)), "ids are there twice")
    case.assertEqual(len(page.figures), page.source.count("<svg class=\"plot\""))
    return page
