import { render } from "preact";
import "./style.css";
import { connect } from "./live";
import { Page } from "./page";
import { takeToken } from "./token";

const opening = takeToken(window);
const place = document.getElementById("page");
if (place) render(<Page />, place);
void connect(opening);

// An editor may open the page that is open already, with a new token.
window.addEventListener("hashchange", () => {
  const again = takeToken(window);
  if (again.code !== "" || again.token !== opening.token) void connect(again);
});
