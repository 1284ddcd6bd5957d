/** A binary frame that breaks the protocol. Nothing of it has been used. */
export declare class EnvelopeError extends Error {
    /** What is wrong, in a few words; never anything from the frame. */
    reason: string;
    /**
     * @param {string} reason what is wrong, in a few words; never anything from the frame
     */
    constructor(reason: string);
}
