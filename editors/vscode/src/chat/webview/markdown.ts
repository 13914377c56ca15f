/** A model's Markdown as DOM. What a model writes is not trusted: no HTML, no images, and of links
 * only those to the web, which VS Code asks about. */

import MarkdownIt from "markdown-it";

const markdown = new MarkdownIt("default", { html: false, linkify: false }).disable("image");
markdown.validateLink = (url) => /^https?:\/\//i.test(url);

/** Make of each code block what `toolbar` wants above it. */
export function render(text: string, toolbar: (code: string) => HTMLElement): DocumentFragment {
  // Made by our renderer from escaped text; the page's policy would run nothing of it either.
  const parsed = new DOMParser().parseFromString(markdown.render(text), "text/html");
  const fragment = document.createDocumentFragment();
  fragment.append(...parsed.body.childNodes);
  for (const pre of fragment.querySelectorAll("pre")) {
    const code = pre.textContent.replace(/\n$/, "");
    const box = document.createElement("div");
    box.className = "code";
    pre.replaceWith(box);
    box.append(toolbar(code), pre);
  }
  return fragment;
}
