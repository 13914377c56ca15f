import { render } from "preact";
import "./style.css";
import { connect } from "./live";
import { Page } from "./page";
import { readFragment, takeToken } from "./token";

const opening = takeToken(window);
const place = document.getElementById("page");
if (place) render(<Page />, place);
void connect(opening);

// An editor may open the page that is open already, with a new token. Another view brings none.
window.addEventListener("hashchange", () => {
  const { token, code } = readFragment(window.location.hash);
  if (token !== "" || code !== "") void connect(takeToken(window));
});
