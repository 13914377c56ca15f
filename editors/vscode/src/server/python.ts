/** The interpreter that the Python extension has chosen, where that is installed. */

import * as vscode from "vscode";

interface PythonApi {
  readonly environments?: {
    getActiveEnvironmentPath(): { readonly path: string };
    resolveEnvironment(environment: {
      readonly path: string;
    }): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
  };
}

/** Its path; undefined for none. */
export async function activePython(): Promise<string | undefined> {
  const extension = vscode.extensions.getExtension<PythonApi>("ms-python.python");
  if (!extension) return undefined;
  const { environments } = extension.isActive ? extension.exports : await extension.activate();
  if (!environments) return undefined;
  const found = await environments.resolveEnvironment(environments.getActiveEnvironmentPath());
  return found?.executable.uri?.fsPath;
}
