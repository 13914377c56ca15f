/** Which documents the server is told of. Knows nothing of VS Code. */

/** The schemes of their URIs: files, those that are none yet, and the cells of notebooks. */
export const FOLLOWED = ["file", "untitled", "vscode-notebook-cell"];
