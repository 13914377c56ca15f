import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["build/", "node_modules/", "*.mjs"] },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // Handlers of events may be asynchronous: `act` reports what goes wrong in them.
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: false }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // What another program says becomes text by text nodes alone.
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Text is shown by text nodes." },
        { property: "outerHTML", message: "Text is shown by text nodes." },
        { property: "insertAdjacentHTML", message: "Text is shown by text nodes." },
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "JSXIdentifier[name='dangerouslySetInnerHTML']",
          message: "Text is shown by text nodes.",
        },
      ],
      eqeqeq: "error",
      "no-console": "error",
    },
  },
  {
    // `node:test` gives promises that the runner awaits.
    files: ["test/**"],
    rules: { "@typescript-eslint/no-floating-promises": "off" },
  },
);
