// @ts-check

/** A binary frame that breaks the protocol. Nothing of it has been used. */
export class EnvelopeError extends Error {
  /**
   * @param {string} reason what is wrong, in a few words; never anything from the frame
   */
  constructor(reason) {
    super(reason);
    this.name = "EnvelopeError";
    /** What is wrong, in a few words; never anything from the frame. */
    this.reason = reason;
  }
}
