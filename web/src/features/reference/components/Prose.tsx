/** Text of the description: paragraphs, `code` and **strong** words. */
export function Prose({ text }: { readonly text: string }) {
  return text.split(/\n\s*\n/).map((paragraph, at) => (
    <p key={at}>
      <Words text={paragraph} />
    </p>
  ));
}

/** One paragraph of it. */
export function Words({ text }: { readonly text: string }) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part, at) => {
    if (part.startsWith('`')) return <code key={at}>{part.slice(1, -1)}</code>;
    if (part.startsWith('**')) return <strong key={at}>{part.slice(2, -2)}</strong>;
    return part;
  });
}
