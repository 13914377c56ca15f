/** The chat view's page. Nothing but our own script and style may be loaded. */

import * as vscode from "vscode";

/** HTML with a policy that lets in what has this `nonce`. */
export function page(webview: vscode.Webview, extension: vscode.Uri, nonce: string): string {
  const script = webview.asWebviewUri(vscode.Uri.joinPath(extension, "dist", "chat.js")).toString();
  const style = webview.asWebviewUri(vscode.Uri.joinPath(extension, "media", "chat.css")).toString();
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>Nearfield</title>
</head>
<body>
<main id="log" aria-live="polite">
<p id="hello">Ask about your code. Answers come from the models that the status bar names.</p>
</main>
<form id="form">
<label id="context" title="Send this along"><input type="checkbox" id="with" checked><span id="reference"></span></label>
<textarea id="box" rows="2" placeholder="Ask Nearfield…" aria-label="Question"></textarea>
<div id="buttons"><button type="button" id="clear" class="quiet">New chat</button><button type="submit" id="send">Send</button></div>
</form>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}
